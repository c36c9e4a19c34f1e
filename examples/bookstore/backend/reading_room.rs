//! The ReadingRoom service: streams from, to, and both ways. tonic ends a reply at its first error.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::api::bookstore::v1::import_books_response::Failure;
use super::api::bookstore::v1::reading_room_server::ReadingRoom;
use super::api::bookstore::v1::{
    Book, BookEvent, DiscussRequest, ImportBooksRequest, ImportBooksResponse, ReadSampleRequest, Remark,
    StreamBooksRequest, UploadSampleRequest, UploadSampleResponse, WatchBooksRequest,
};
use super::api::google::api::HttpBody;
use super::discussion::Discussions;
use super::media::MAX_SAMPLE;
use super::names::{BookName, Parent, ShelfName};
use super::refusal::Refusal;
use super::store::Store;
use super::validation::invalid;

/// How many books one import may bring.
const MAX_IMPORT: usize = 1_000;

const SLOWEST_PACE: Duration = Duration::from_secs(10);

type Answer<T> = Result<Response<T>, Status>;

pub struct ReadingRoomService {
    store: Arc<Store>,
    discussions: Arc<Discussions>,
}

impl ReadingRoomService {
    pub fn new(store: Arc<Store>) -> Self {
        let discussions = Arc::new(Discussions::default());
        Self { store, discussions }
    }
}

#[tonic::async_trait]
impl ReadingRoom for ReadingRoomService {
    type StreamBooksStream = BoxStream<Book>;
    type WatchBooksStream = BoxStream<BookEvent>;
    type ReadSampleStream = BoxStream<HttpBody>;
    type DiscussStream = BoxStream<Remark>;

    async fn stream_books(&self, request: Request<StreamBooksRequest>) -> Answer<Self::StreamBooksStream> {
        let StreamBooksRequest { parent, pace } = request.into_inner();
        let parent = Parent::parse("parent", &parent)?;
        let pace = match pace.map(Duration::try_from) {
            None => Duration::ZERO,
            Some(Ok(pace)) if pace <= SLOWEST_PACE => pace,
            Some(_) => {
                let told = "from nothing to ten seconds";
                return Err(invalid("pace", "OUT_OF_RANGE", told).into());
            }
        };
        let readings = self.store.readings(&parent)?.into_iter().enumerate();
        let books = stream::iter(readings).then(move |(i, (_, reading))| async move {
            if i > 0 && !pace.is_zero() {
                tokio::time::sleep(pace).await;
            }
            reading.map_err(Status::from)
        });
        Ok(Response::new(Box::pin(books)))
    }

    async fn watch_books(&self, request: Request<WatchBooksRequest>) -> Answer<Self::WatchBooksStream> {
        let parent = Parent::parse("parent", &request.get_ref().parent)?;
        // Subscribed before the shelf is looked up: nothing after the answer is missed.
        let events = self.store.events();
        self.store.readings(&parent)?;
        let events = stream::unfold((events, parent), |(mut events, parent)| async move {
            loop {
                match events.recv().await {
                    Ok(event) if parent.holds(&event.name) => {
                        return Some((Ok(event.event), (events, parent)));
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => {
                        return Some((Err(Refusal::TooSlow.into()), (events, parent)));
                    }
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn read_sample(&self, request: Request<ReadSampleRequest>) -> Answer<Self::ReadSampleStream> {
        let name = BookName::parse_part("name", &request.get_ref().name, "sample")?;
        let chunks = self.store.sample(&name)?.into_iter();
        Ok(Response::new(Box::pin(stream::iter(chunks.map(Ok)))))
    }

    async fn upload_sample(
        &self,
        request: Request<Streaming<UploadSampleRequest>>,
    ) -> Answer<UploadSampleResponse> {
        let mut requests = request.into_inner();
        let mut name = None;
        let mut chunks: Vec<HttpBody> = Vec::new();
        let (mut size, mut count) = (0_usize, 0_i32);
        while let Some(request) = requests.message().await? {
            if name.is_none() {
                let book = BookName::parse_part("name", &request.name, "sample")?;
                self.store.get(&book)?;
                name = Some(book);
            }
            let mut chunk = request.chunk.unwrap_or_default();
            size += chunk.data.len();
            if size > MAX_SAMPLE {
                return Err(invalid("chunk.data", "TOO_LONG", "at most 4 MiB in all").into());
            }
            count += 1;
            // Chunks are kept as they came, but empty ones say nothing after the first.
            match chunks.first() {
                Some(first) => chunk.content_type.clone_from(&first.content_type),
                None => default_type(&mut chunk),
            }
            if chunks.is_empty() || !chunk.data.is_empty() {
                chunks.push(chunk);
            }
        }
        let name = name.ok_or_else(|| invalid("name", "REQUIRED", "no chunk came"))?;
        let content_type = chunks.first().map(|chunk| chunk.content_type.clone());
        self.store.set_sample(&name, chunks)?;
        Ok(Response::new(UploadSampleResponse {
            size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
            chunk_count: count,
            content_type: content_type.unwrap_or_default(),
        }))
    }

    async fn import_books(
        &self,
        request: Request<Streaming<ImportBooksRequest>>,
    ) -> Answer<ImportBooksResponse> {
        let mut requests = request.into_inner();
        let mut shelf = None;
        let mut report = ImportBooksResponse::default();
        let mut index = 0_usize;
        while let Some(request) = requests.message().await? {
            if index == MAX_IMPORT {
                let limit = MAX_IMPORT;
                return Err(Refusal::Full { what: "books in one import", limit }.into());
            }
            if !request.parent.is_empty() {
                shelf = Some(ShelfName::parse("parent", &request.parent)?);
            }
            let onto = shelf.clone();
            let onto = onto.ok_or_else(|| invalid("parent", "REQUIRED", "no shelf is named"))?;
            let book = request.book.unwrap_or_default();
            match self.store.create(onto, &request.book_id, book, false) {
                Ok(book) => report.names.push(book.name),
                Err(refusal) => report.failures.push(Failure {
                    index: i64::try_from(index).unwrap_or(i64::MAX),
                    status: Some(refusal.status()),
                }),
            }
            index += 1;
        }
        Ok(Response::new(report))
    }

    async fn discuss(&self, request: Request<Streaming<DiscussRequest>>) -> Answer<Self::DiscussStream> {
        let remarks = Arc::clone(&self.discussions).attend(&self.store, request.into_inner());
        Ok(Response::new(Box::pin(remarks)))
    }
}

fn default_type(chunk: &mut HttpBody) {
    if chunk.content_type.is_empty() {
        "application/octet-stream".clone_into(&mut chunk.content_type);
    }
}
