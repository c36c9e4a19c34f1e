//! The ReadingRoom service.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_stream::StreamExt;
use tonic::Code;

use crate::shop::backend::api::bookstore::v1::book_event::Event;
use crate::shop::backend::api::bookstore::v1::discuss_request::Action;
use crate::shop::backend::api::bookstore::v1::*;
use crate::shop::backend::api::google::api::HttpBody;
use crate::shop::{MOBY_DICK, book, shop, violated};

#[tokio::test]
async fn a_damaged_record_ends_a_stream_after_the_books_before_it() {
    let mut shop = shop().await;
    let request =
        StreamBooksRequest { parent: "shelves/basement".to_owned(), ..StreamBooksRequest::default() };
    let mut stream = shop.room.stream_books(request).await.expect("a stream").into_inner();
    assert!(stream.message().await.expect("the first book").is_some());
    let status = stream.message().await.expect_err("the second is damaged");
    assert_eq!(status.code(), Code::DataLoss);
    assert!(stream.message().await.expect("the stream is over").is_none());
}

#[tokio::test]
async fn watchers_see_what_happens_on_their_shelf() {
    let mut shop = shop().await;
    let parent = "shelves/fiction".to_owned();
    let events = shop.room.watch_books(WatchBooksRequest { parent }).await;
    let mut events = events.expect("the shelf exists").into_inner();
    for shelf in ["computing", "fiction"] {
        let request = CreateBookRequest {
            parent: format!("shelves/{shelf}"),
            book: Some(book("Persuasion")),
            ..CreateBookRequest::default()
        };
        shop.books.create_book(request).await.expect("it is taken");
    }
    let event = tokio::time::timeout(Duration::from_secs(10), events.message()).await;
    let event = event.expect("in time").expect("no error").expect("an event");
    match event.event {
        Some(Event::Created(book)) => assert_eq!(book.name, "shelves/fiction/books/persuasion"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn imports_tell_what_was_not_taken() {
    let mut shop = shop().await;
    let parent = "shelves/computing".to_owned();
    let message = |parent: &str, title: &str| ImportBooksRequest {
        parent: parent.to_owned(),
        book: Some(book(title)),
        book_id: String::new(),
    };
    let messages = [message(&parent, "TAOCP"), message("", ""), message("", "TeX")];
    let report = shop.room.import_books(tokio_stream::iter(messages)).await;
    let report = report.expect("a report").into_inner();
    assert_eq!(report.names, [format!("{parent}/books/taocp"), format!("{parent}/books/tex")]);
    let failures: Vec<(i64, i32)> = report
        .failures
        .into_iter()
        .map(|failure| (failure.index, failure.status.expect("a status").code))
        .collect();
    assert_eq!(failures, [(1, Code::InvalidArgument as i32)]);
}

#[tokio::test]
async fn samples_go_up_and_come_down_in_the_same_chunks() {
    let mut shop = shop().await;
    let name = "shelves/fiction/books/frankenstein/sample".to_owned();
    let chunk = |content_type: &str, data: &[u8]| HttpBody {
        content_type: content_type.to_owned(),
        data: data.to_vec(),
        extensions: Vec::new(),
    };
    let sent = [("audio/ogg", b"OggS".as_slice()), ("", &[0xff, 0x00]), ("", b"end")];
    let requests = sent.map(|(content_type, data)| UploadSampleRequest {
        name: name.clone(),
        chunk: Some(chunk(content_type, data)),
    });
    let stored = shop.room.upload_sample(tokio_stream::iter(requests)).await;
    let stored = stored.expect("it is stored").into_inner();
    assert_eq!((stored.size_bytes, stored.chunk_count), (9, 3));
    let read = shop.room.read_sample(ReadSampleRequest { name }).await;
    let read = read.expect("there is one").into_inner();
    let read: Vec<HttpBody> = read.collect::<Result<_, _>>().await.expect("no error");
    assert_eq!(read, sent.map(|(_, data)| chunk("audio/ogg", data)));
}

#[tokio::test]
async fn everybody_at_the_table_hears_every_remark() {
    let mut shop = shop().await;
    let seat = |who: &'static str, what: &'static str| {
        let first = DiscussRequest { name: MOBY_DICK.to_owned(), action: Some(Action::Join(who.to_owned())) };
        let say = DiscussRequest { name: String::new(), action: Some(Action::Say(what.to_owned())) };
        [first, say]
    };
    // The first stays at the table: its requests never end.
    let staying = tokio_stream::iter(seat("Ahab", "Where?")).chain(tokio_stream::pending());
    let mut ahab = shop.room.discuss(staying).await.expect("a table").into_inner();
    for expected in ["takes a seat", "Where?"] {
        let remark = ahab.message().await.expect("no error").expect("a remark");
        assert_eq!((remark.speaker.as_str(), remark.text.as_str()), ("Ahab", expected));
    }
    let leaving = tokio_stream::iter(seat("Starbuck", "There!"));
    let heard = shop.room.discuss(leaving).await.expect("a table").into_inner();
    let heard: Vec<Remark> = heard.collect::<Result<_, _>>().await.expect("no error");
    let heard: Vec<(i64, &str)> = heard.iter().map(|r| (r.sequence, r.text.as_str())).collect();
    assert_eq!(heard, [(3, "takes a seat"), (4, "There!")]);
    ahab.message().await.expect("no error").expect("the other sits down");
    let last = ahab.message().await.expect("no error").expect("and speaks");
    assert_eq!((last.sequence, last.text.as_str()), (4, "There!"));

    let mute = DiscussRequest { name: MOBY_DICK.to_owned(), action: Some(Action::Say("…".to_owned())) };
    let mut mute = shop.room.discuss(tokio_stream::iter([mute])).await.expect("ok").into_inner();
    let status = mute.message().await.expect_err("nobody speaks without a seat");
    assert_eq!(violated(&status), BTreeSet::from(["say".to_owned()]));
}
