//! The example's backend with clients connected to it, for the tests of the backend itself.

#[path = "../../examples/bookstore/backend.rs"]
pub(crate) mod backend;

use std::collections::BTreeSet;

use prost::Message;
use tonic::Status;
use tonic::transport::Channel;

use self::backend::Backend;
use self::backend::api::bookstore::v1::bookstore_client::BookstoreClient;
use self::backend::api::bookstore::v1::reading_room_client::ReadingRoomClient;
use self::backend::api::bookstore::v1::{Author, Book};
use self::backend::api::google::rpc;

pub(crate) const MOBY_DICK: &str = "shelves/fiction/books/moby-dick";

/// A backend with a client of each service; the backend lives as long as this.
pub(crate) struct Shop {
    pub(crate) books: BookstoreClient<Channel>,
    pub(crate) room: ReadingRoomClient<Channel>,
    _backend: Backend,
}

/// Starts a freshly stocked backend and connects to it.
pub(crate) async fn shop() -> Shop {
    let backend = Backend::start().await.expect("a free port");
    let address = format!("http://{}", backend.address());
    let channel = Channel::from_shared(address).expect("an address");
    let channel = channel.connect().await.expect("it listens");
    Shop {
        books: BookstoreClient::new(channel.clone()),
        room: ReadingRoomClient::new(channel),
        _backend: backend,
    }
}

/// A book that can be kept, but for a title that is empty.
pub(crate) fn book(title: &str) -> Book {
    Book {
        title: title.to_owned(),
        authors: vec![Author { display_name: "Somebody".to_owned(), ..Author::default() }],
        ..Book::default()
    }
}

/// The fields that an INVALID_ARGUMENT names.
pub(crate) fn violated(status: &Status) -> BTreeSet<String> {
    let whole = rpc::Status::decode(status.details()).expect("a Status");
    let any = whole.details.iter().find(|any| any.type_url.ends_with("BadRequest"));
    let bytes = any.expect("a BadRequest").value.as_slice();
    let request = rpc::BadRequest::decode(bytes).expect("a BadRequest");
    request.field_violations.into_iter().map(|v| v.field).collect()
}
