//! The Bookstore service: requests become names, masks and books here, the store does the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost_types::FieldMask;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Response, Status};

use super::api::bookstore::v1::bookstore_server::Bookstore;
use super::api::bookstore::v1::{
    Author, Book, BorrowBookRequest, CountBooksRequest, CountBooksResponse, CreateBookRequest,
    CreateShelfRequest, DeleteBookRequest, DeleteShelfRequest, GetBookRequest, GetCoverRequest,
    GetLeafletRequest, GetShelfRequest, ListAuthorsRequest, ListAuthorsResponse, ListBooksRequest,
    ListBooksResponse, ListShelvesRequest, ListShelvesResponse, LookUpBookRequest, MergeShelvesRequest,
    MoveBookRequest, ReturnBookRequest, SearchBooksRequest, SearchBooksResponse, Shelf, UpdateBookRequest,
    UpdateShelfRequest, UploadCoverRequest,
};
use super::api::google::api::HttpBody;
use super::fields::Mask;
use super::filter::{self, Filter};
use super::media;
use super::names::{BookName, Parent, ShelfName};
use super::paging::page;
use super::refusal::Refusal;
use super::search;
use super::store::Store;
use super::validation::{invalid, is_isbn13};

type Answer<T> = Result<Response<T>, Status>;

pub struct BookstoreService {
    store: Arc<Store>,
}

impl BookstoreService {
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl Bookstore for BookstoreService {
    async fn list_shelves(&self, request: Request<ListShelvesRequest>) -> Answer<ListShelvesResponse> {
        let request = request.into_inner();
        let shelves = self.store.shelves().into_iter();
        let keyed = shelves.map(|shelf| (shelf.name.clone(), shelf)).collect();
        let page = page(keyed, request.page_size, &request.page_token)?;
        Ok(Response::new(ListShelvesResponse { shelves: page.items, next_page_token: page.next }))
    }

    async fn get_shelf(&self, request: Request<GetShelfRequest>) -> Answer<Shelf> {
        let name = ShelfName::parse("name", &request.get_ref().name)?;
        Ok(Response::new(self.store.shelf(&name)?))
    }

    async fn create_shelf(&self, request: Request<CreateShelfRequest>) -> Answer<Shelf> {
        let CreateShelfRequest { shelf, shelf_id } = request.into_inner();
        let shelf = required("shelf", shelf)?;
        let shelf = self.store.create_shelf(&shelf_id, shelf)?;
        let (name, etag) = (shelf.name.clone(), shelf.etag.clone());
        Ok(created(Response::new(shelf), &name, &etag))
    }

    async fn update_shelf(&self, request: Request<UpdateShelfRequest>) -> Answer<Shelf> {
        Ok(Response::new(self.store.update_shelf(request.into_inner())?))
    }

    async fn delete_shelf(&self, request: Request<DeleteShelfRequest>) -> Answer<()> {
        let DeleteShelfRequest { name, force } = request.into_inner();
        let name = ShelfName::parse("name", &name)?;
        Ok(Response::new(self.store.delete_shelf(&name, force)?))
    }

    async fn merge_shelves(&self, request: Request<MergeShelvesRequest>) -> Answer<Shelf> {
        let request = request.into_inner();
        let to = ShelfName::parse("name", &request.name)?;
        let from = ShelfName::parse("other_shelf", &request.other_shelf)?;
        Ok(Response::new(self.store.merge_shelves(&to, &from)?))
    }

    async fn list_books(&self, request: Request<ListBooksRequest>) -> Answer<ListBooksResponse> {
        let request = request.into_inner();
        let parent = Parent::parse("parent", &request.parent)?;
        let filter = Filter::parse(&request.filter)?;
        let (mut books, mut unreachable) = (Vec::new(), Vec::new());
        for (name, reading) in self.store.readings(&parent)? {
            match reading {
                Ok(book) if filter.admits(&book) => books.push(book),
                Ok(_) => {}
                Err(_) => unreachable.push(name.to_string()),
            }
        }
        filter::sort(&mut books, &request.order_by)?;
        let keyed = books.into_iter().map(|book| (book.name.clone(), book));
        let page = page(keyed.collect(), request.page_size, &request.page_token)?;
        Ok(Response::new(ListBooksResponse { books: page.items, next_page_token: page.next, unreachable }))
    }

    async fn search_books(&self, request: Request<SearchBooksRequest>) -> Answer<SearchBooksResponse> {
        let mut request = request.into_inner();
        let mask: Option<FieldMask> = request.read_mask.take();
        let mask = Mask::parse("read_mask", mask)?;
        let books = self.store.books(&Parent::All)?.into_iter();
        let found = books.filter(|book| search::meets(book, &request));
        Ok(Response::new(SearchBooksResponse { books: found.map(|book| mask.project(book)).collect() }))
    }

    async fn look_up_book(&self, request: Request<LookUpBookRequest>) -> Answer<Book> {
        let isbn = request.get_ref().isbn.replace('-', "");
        if !is_isbn13(&isbn) {
            let told = "13 digits, the last of them the check digit";
            return Err(invalid("isbn", "MALFORMED_ISBN", told).into());
        }
        Ok(Response::new(self.store.look_up(&isbn)?))
    }

    async fn count_books(&self, request: Request<CountBooksRequest>) -> Answer<CountBooksResponse> {
        let parent = Parent::parse("parent", &request.get_ref().parent)?;
        let count = self.store.readings(&parent)?.len();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Response::new(CountBooksResponse { count }))
    }

    async fn get_book(&self, request: Request<GetBookRequest>) -> Answer<Book> {
        let name = BookName::parse("name", &request.get_ref().name)?;
        let book = self.store.get(&name)?;
        let known = request.metadata().get("if-none-match");
        let unchanged = known.is_some_and(|tag| tag.as_bytes() == book.etag.as_bytes());
        let etag = book.etag.clone();
        let mut response = Response::new(book);
        put(response.metadata_mut(), "etag", &etag);
        if unchanged {
            put(response.metadata_mut(), "x-http-code", "304");
        }
        Ok(response)
    }

    async fn create_book(&self, request: Request<CreateBookRequest>) -> Answer<Book> {
        let request = request.into_inner();
        let shelf = ShelfName::parse("parent", &request.parent)?;
        let book = required("book", request.book)?;
        let (id, trial) = (&request.book_id, request.validate_only);
        let book = self.store.create(shelf, id, book, trial)?;
        if trial {
            return Ok(Response::new(book));
        }
        let (name, etag) = (book.name.clone(), book.etag.clone());
        Ok(created(Response::new(book), &name, &etag))
    }

    async fn update_book(&self, request: Request<UpdateBookRequest>) -> Answer<Book> {
        let request = request.into_inner();
        let book = required("book", request.book)?;
        let name = BookName::parse("book.name", &book.name)?;
        let mask = Mask::parse("update_mask", request.update_mask)?;
        let book = self.store.update(&name, book, &mask, request.allow_missing)?;
        let etag = book.etag.clone();
        let mut response = Response::new(book);
        put(response.metadata_mut(), "etag", &etag);
        Ok(response)
    }

    async fn delete_book(&self, request: Request<DeleteBookRequest>) -> Answer<()> {
        let DeleteBookRequest { name, etag } = request.into_inner();
        let name = BookName::parse("name", &name)?;
        Ok(Response::new(self.store.delete(&name, etag.as_deref())?))
    }

    async fn move_book(&self, request: Request<MoveBookRequest>) -> Answer<Book> {
        let request = request.into_inner();
        let name = BookName::parse("name", &request.name)?;
        let shelf = ShelfName::parse("destination_shelf", &request.destination_shelf)?;
        Ok(Response::new(self.store.move_book(&name, shelf)?))
    }

    async fn borrow_book(&self, request: Request<BorrowBookRequest>) -> Answer<Book> {
        let request = request.into_inner();
        let name = BookName::parse("name", &request.name)?;
        let (reader, period) = (&request.reader, request.period);
        Ok(Response::new(self.store.borrow(&name, reader, period)?))
    }

    async fn return_book(&self, request: Request<ReturnBookRequest>) -> Answer<Book> {
        let name = BookName::parse("name", &request.get_ref().name)?;
        Ok(Response::new(self.store.take_back(&name)?))
    }

    async fn list_authors(&self, request: Request<ListAuthorsRequest>) -> Answer<ListAuthorsResponse> {
        let parent = Parent::parse("parent", &request.get_ref().parent)?;
        let books = self.store.books(&parent)?.into_iter();
        let authors = books.flat_map(|book| book.authors);
        let sorted: BTreeMap<String, Author> =
            authors.map(|author| (author.sort_name.clone(), author)).collect();
        Ok(Response::new(ListAuthorsResponse { authors: sorted.into_values().collect() }))
    }

    async fn get_cover(&self, request: Request<GetCoverRequest>) -> Answer<HttpBody> {
        let name = BookName::parse_part("name", &request.get_ref().name, "cover")?;
        Ok(Response::new(self.store.cover(&name)?))
    }

    async fn upload_cover(&self, request: Request<UploadCoverRequest>) -> Answer<Book> {
        let UploadCoverRequest { name, image } = request.into_inner();
        let name = BookName::parse_part("name", &name, "cover")?;
        let image = required("image", image)?;
        Ok(Response::new(self.store.set_cover(&name, image)?))
    }

    async fn get_leaflet(&self, request: Request<GetLeafletRequest>) -> Answer<HttpBody> {
        let leaflet = media::leaflet(&request.get_ref().name)?;
        let mut response = Response::new(leaflet);
        put(response.metadata_mut(), "cache-control", "max-age=3600");
        Ok(response)
    }
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, Refusal> {
    value.ok_or_else(|| invalid(field, "REQUIRED", "the call is about nothing without it"))
}

/// Asks for 201, with the place and the tag of what was made.
fn created<T>(mut response: Response<T>, name: &str, etag: &str) -> Response<T> {
    let metadata = response.metadata_mut();
    put(metadata, "x-http-code", "201");
    put(metadata, "location", &format!("/v1/{name}"));
    put(metadata, "etag", etag);
    response
}

fn put(metadata: &mut MetadataMap, key: &'static str, value: &str) {
    let value = MetadataValue::try_from(value).expect("names, tags and numbers are ASCII");
    metadata.insert(key, value);
}
