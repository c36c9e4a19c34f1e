//! One call, one answer: the Bookstore service.

use std::collections::BTreeSet;

use prost::Message;
use tonic::{Code, Request, Status};

use crate::shop::backend::api::bookstore::v1::book::Whereabouts;
use crate::shop::backend::api::bookstore::v1::*;
use crate::shop::backend::api::google::api::HttpBody;
use crate::shop::backend::api::google::rpc;
use crate::shop::{MOBY_DICK, Shop, book, shop, violated};

/// The full names of the details of an error, after a check of what all errors have.
fn detail_names(status: &Status) -> Vec<String> {
    let whole = rpc::Status::decode(status.details()).expect("grpc-status-details-bin is a Status");
    assert_eq!(whole.code, status.code() as i32);
    assert_eq!(whole.message, status.message());
    let names = whole.details.iter().map(|any| {
        let name = any.type_url.strip_prefix("type.googleapis.com/google.rpc.");
        name.expect("a google.rpc type").to_owned()
    });
    names.collect()
}

async fn get(shop: &mut Shop, name: &str) -> Result<Book, Status> {
    let name = name.to_owned();
    let reply = shop.books.get_book(GetBookRequest { name }).await?;
    Ok(reply.into_inner())
}

#[tokio::test]
async fn a_missing_book_is_told_with_details() {
    let mut shop = shop().await;
    let status = get(&mut shop, "shelves/fiction/books/none").await.expect_err("no such book");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(detail_names(&status), ["ErrorInfo", "ResourceInfo"]);
    let status = get(&mut shop, "shelves/fiction").await.expect_err("no book's name");
    assert_eq!(violated(&status), BTreeSet::from(["name".to_owned()]));
}

#[tokio::test]
async fn a_damaged_record_is_data_loss_and_listed_as_unreachable() {
    let mut shop = shop().await;
    let damaged = "shelves/basement/books/b-flooded-atlas";
    let status = get(&mut shop, damaged).await.expect_err("it is damaged");
    assert_eq!(status.code(), Code::DataLoss);
    let list = ListBooksRequest { parent: "shelves/basement".to_owned(), ..ListBooksRequest::default() };
    let list = shop.books.list_books(list).await.expect("a list").into_inner();
    assert_eq!(list.books.len(), 2);
    assert_eq!(list.unreachable, [damaged]);
}

#[tokio::test]
async fn a_new_book_asks_for_201_and_has_a_place() {
    let mut shop = shop().await;
    let request = CreateBookRequest {
        parent: "shelves/fiction".to_owned(),
        book: Some(Book {
            purchase_note: "from the estate".to_owned(),
            copies_sold: 12,
            ..book("Emma, & more!")
        }),
        ..CreateBookRequest::default()
    };
    let reply = shop.books.create_book(request.clone()).await.expect("it is taken");
    let name = "shelves/fiction/books/emma-more";
    assert_eq!(reply.metadata().get("x-http-code").expect("a status"), "201");
    assert_eq!(reply.metadata().get("location").expect("a place"), &format!("/v1/{name}"));
    let made = reply.get_ref();
    assert_eq!(reply.metadata().get("etag").expect("a tag"), made.etag.as_str());
    assert_eq!((made.name.as_str(), made.copies_sold), (name, 0));
    assert_eq!(made.purchase_note, "");
    let again = shop.books.create_book(request.clone()).await.expect("under another id");
    assert_eq!(again.get_ref().name, format!("{name}-2"));
    let same = CreateBookRequest { book_id: "emma-more".to_owned(), ..request };
    let status = shop.books.create_book(same).await.expect_err("the id is taken");
    assert_eq!(status.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn all_that_is_wrong_with_a_book_is_told_at_once() {
    let mut shop = shop().await;
    let request = CreateBookRequest {
        parent: "shelves/fiction".to_owned(),
        book: Some(Book { isbn: "9780141439540".to_owned(), page_count: -1, format: 77, ..Book::default() }),
        ..CreateBookRequest::default()
    };
    let status = shop.books.create_book(request).await.expect_err("it is invalid");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(detail_names(&status), ["ErrorInfo", "BadRequest"]);
    let fields = ["title", "authors", "isbn", "page_count", "format"];
    assert_eq!(violated(&status), fields.map(|field| format!("book.{field}")).into());
}

/// Currency and amount in its smallest unit.
type Money = Option<(&'static str, i64)>;

/// What an update sends, and what the book must be afterwards.
struct Update {
    mask: Option<&'static [&'static str]>,
    title: &'static str,
    pages: i32,
    currency: Option<&'static str>,
    expected: Result<(&'static str, i32, Money), Code>,
}

#[tokio::test]
async fn updates_change_what_the_mask_names() {
    let cases = [
        Update {
            mask: Some(&["title"]),
            title: "The Whale",
            pages: 5,
            currency: None,
            expected: Ok(("The Whale", 720, Some(("EUR", 2_450)))),
        },
        Update {
            mask: None,
            title: "",
            pages: 5,
            currency: None,
            expected: Ok(("Moby-Dick", 5, Some(("EUR", 2_450)))),
        },
        Update {
            mask: Some(&["price.currency_code", "copies_sold"]),
            title: "",
            pages: 5,
            currency: Some("USD"),
            expected: Ok(("Moby-Dick", 720, Some(("USD", 2_450)))),
        },
        Update {
            mask: Some(&["*"]),
            title: "All New",
            pages: 5,
            currency: None,
            expected: Ok(("All New", 5, None)),
        },
        Update {
            mask: Some(&["title"]),
            title: "",
            pages: 0,
            currency: None,
            expected: Err(Code::InvalidArgument),
        },
        Update {
            mask: Some(&["weight"]),
            title: "x",
            pages: 0,
            currency: None,
            expected: Err(Code::InvalidArgument),
        },
    ];
    for (i, case) in cases.into_iter().enumerate() {
        let mut shop = shop().await;
        let request = UpdateBookRequest {
            book: Some(Book {
                name: MOBY_DICK.to_owned(),
                page_count: case.pages,
                price: case.currency.map(|code| Price { currency_code: code.to_owned(), minor_units: 0 }),
                authors: if case.mask == Some(&["*"]) { book("").authors } else { vec![] },
                ..book(case.title)
            }),
            update_mask: case.mask.map(|paths| prost_types::FieldMask {
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            }),
            allow_missing: false,
        };
        let outcome = shop.books.update_book(request).await;
        let got = outcome.map(tonic::Response::into_inner).map_err(|s| s.code());
        let got = got.as_ref().map_err(|code| *code).map(|book| {
            let price = book.price.as_ref();
            let price = price.map(|price| (price.currency_code.as_str(), price.minor_units));
            (book.title.as_str(), book.page_count, price)
        });
        assert_eq!(got, case.expected, "case {i}");
    }
}

#[tokio::test]
async fn a_reader_has_three_books_and_no_more() {
    let mut shop = shop().await;
    let borrow = |name: &str| BorrowBookRequest {
        name: format!("shelves/fiction/books/{name}"),
        reader: "readers/ishmael".to_owned(),
        period: None,
    };
    for name in ["moby-dick", "middlemarch", "frankenstein"] {
        let lent = shop.books.borrow_book(borrow(name)).await.expect("it is in the shop");
        assert!(matches!(lent.get_ref().whereabouts, Some(Whereabouts::Loan(_))));
    }
    let status = shop.books.borrow_book(borrow("moby-dick")).await.expect_err("it is out");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(detail_names(&status), ["ErrorInfo", "PreconditionFailure"]);
    let fourth = borrow("left-hand-of-darkness");
    let status = shop.books.borrow_book(fourth.clone()).await.expect_err("three is the limit");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(detail_names(&status), ["ErrorInfo", "QuotaFailure", "RetryInfo"]);
    let name = MOBY_DICK.to_owned();
    shop.books.return_book(ReturnBookRequest { name }).await.expect("it is out");
    shop.books.borrow_book(fourth).await.expect("there is room again");
}

#[tokio::test]
async fn pages_and_filters_cover_every_book_once() {
    let mut shop = shop().await;
    let mut request = ListBooksRequest {
        page_size: 3,
        filter: "format=FORMAT_PAPERBACK".to_owned(),
        order_by: "page_count desc".to_owned(),
        ..ListBooksRequest::default()
    };
    let mut pages = Vec::new();
    loop {
        let reply = shop.books.list_books(request.clone()).await.expect("a page").into_inner();
        assert!(reply.books.len() <= 3);
        pages.extend(reply.books.iter().map(|book| book.page_count));
        if reply.next_page_token.is_empty() {
            break;
        }
        request.page_token = reply.next_page_token;
    }
    assert_eq!(pages, [880, 657, 352, 304, 272, 144]);
    request.page_token = "nonsense!".to_owned();
    let status = shop.books.list_books(request).await.expect_err("not a token");
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn stale_etags_are_refused_and_fresh_ones_ask_for_304() {
    let mut shop = shop().await;
    let etag = get(&mut shop, MOBY_DICK).await.expect("it is there").etag;
    let mut request = Request::new(GetBookRequest { name: MOBY_DICK.to_owned() });
    let tag = etag.parse().expect("ASCII");
    request.metadata_mut().insert("if-none-match", tag);
    let reply = shop.books.get_book(request).await.expect("it is there");
    assert_eq!(reply.metadata().get("x-http-code").expect("a status"), "304");
    let delete = |etag: &str| DeleteBookRequest { name: MOBY_DICK.to_owned(), etag: Some(etag.to_owned()) };
    let status = shop.books.delete_book(delete("\"old\"")).await.expect_err("it is stale");
    assert_eq!(status.code(), Code::Aborted);
    shop.books.delete_book(delete(&etag)).await.expect("it is fresh");
    assert_eq!(get(&mut shop, MOBY_DICK).await.expect_err("gone").code(), Code::NotFound);
}

#[tokio::test]
async fn merging_moves_all_books_or_none() {
    let mut shop = shop().await;
    let merge = |name: &str, other: &str| MergeShelvesRequest {
        name: format!("shelves/{name}"),
        other_shelf: format!("shelves/{other}"),
    };
    let status = shop.books.merge_shelves(merge("fiction", "basement")).await;
    assert_eq!(status.expect_err("one is damaged").code(), Code::DataLoss);
    let merged = shop.books.merge_shelves(merge("fiction", "computing")).await;
    assert_eq!(merged.expect("nothing is in the way").get_ref().book_count, 6);
    get(&mut shop, "shelves/fiction/books/sicp").await.expect("it has moved");
}

#[tokio::test]
async fn covers_and_leaflets_keep_their_media_type() {
    let mut shop = shop().await;
    let name = format!("{MOBY_DICK}/cover");
    let missing = shop.books.get_cover(GetCoverRequest { name: name.clone() }).await;
    assert_eq!(missing.expect_err("there is none").code(), Code::NotFound);
    let image =
        HttpBody { content_type: "image/png".to_owned(), data: b"\x89PNG".to_vec(), extensions: Vec::new() };
    let upload = UploadCoverRequest { name: name.clone(), image: Some(image.clone()) };
    let book = shop.books.upload_cover(upload).await.expect("it is an image").into_inner();
    assert_eq!(book.cover_fingerprint.len(), 8);
    let cover = shop.books.get_cover(GetCoverRequest { name }).await.expect("there is one");
    assert_eq!(*cover.get_ref(), image);
    let name = "leaflets/events/2026/spring/readings.csv".to_owned();
    let leaflet = shop.books.get_leaflet(GetLeafletRequest { name }).await.expect("it is there");
    assert!(leaflet.get_ref().content_type.starts_with("text/csv"));
}

#[tokio::test]
async fn search_criteria_all_hold() {
    let mut shop = shop().await;
    let request = SearchBooksRequest {
        formats: vec![Format::Paperback.into()],
        labels: [("period".to_owned(), "victorian".to_owned())].into(),
        author: Some(search_books_request::Author::AuthorBirthYear(1819)),
        rated: Some(true),
        read_mask: Some(prost_types::FieldMask {
            paths: vec!["name".to_owned(), "price.minor_units".to_owned()],
        }),
        ..SearchBooksRequest::default()
    };
    let found = shop.books.search_books(request).await.expect("an answer").into_inner();
    let expected = Book {
        name: "shelves/fiction/books/middlemarch".to_owned(),
        price: Some(Price { currency_code: String::new(), minor_units: 1_299 }),
        ..Book::default()
    };
    assert_eq!(found.books, [expected]);
}
