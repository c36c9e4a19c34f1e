//! Discussions: everybody who has a book open hears what is said about it, the speaker too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::Stream;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::api::bookstore::v1::{DiscussRequest, Remark, discuss_request::Action};
use super::names::BookName;
use super::refusal::Refusal;
use super::store::{Store, now};
use super::validation::invalid;

/// How many remarks a slow listener may be behind.
const BACKLOG: usize = 64;

const LONGEST_REMARK: usize = 1_000;

/// The discussions that go on, by book.
#[derive(Default)]
pub struct Discussions(Mutex<BTreeMap<BookName, Table>>);

struct Table {
    remarks: broadcast::Sender<Remark>,
    spoken: i64,
}

/// One participant: where the remarks go, and where they come from once there is a book.
struct Seat {
    discussions: Arc<Discussions>,
    store: Arc<Store>,
    replies: mpsc::Sender<Result<Remark, Status>>,
    book: Option<(BookName, broadcast::Receiver<Remark>)>,
    speaker: Option<String>,
}

/// Whether a participant stays.
enum Next {
    Stay,
    Leave,
}

impl Discussions {
    /// Serves one participant until one side ends.
    pub fn attend(
        self: Arc<Self>,
        store: &Arc<Store>,
        requests: Streaming<DiscussRequest>,
    ) -> impl Stream<Item = Result<Remark, Status>> + Send + use<> {
        let (replies, remarks) = mpsc::channel(1);
        let seat = Seat { discussions: self, store: Arc::clone(store), replies, book: None, speaker: None };
        tokio::spawn(seat.serve(requests));
        ReceiverStream::new(remarks)
    }

    fn listen(&self, book: &BookName) -> broadcast::Receiver<Remark> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Tables that everybody has left are cleared when somebody sits down.
        tables.retain(|_, table| table.remarks.receiver_count() > 0);
        let table = tables
            .entry(book.clone())
            .or_insert_with(|| Table { remarks: broadcast::channel(BACKLOG).0, spoken: 0 });
        table.remarks.subscribe()
    }

    fn say(&self, book: &BookName, speaker: &str, text: &str) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get_mut(book) {
            table.spoken += 1;
            // The speaker listens too, so somebody always does.
            let _ = table.remarks.send(Remark {
                sequence: table.spoken,
                speaker: speaker.to_owned(),
                text: text.to_owned(),
                speak_time: Some(now()),
            });
        }
    }
}

impl Seat {
    async fn serve(mut self, mut requests: Streaming<DiscussRequest>) {
        if let Err(status) = self.converse(&mut requests).await {
            // A caller that is gone needs no status.
            let _ = self.replies.send(Err(status)).await;
        }
    }

    async fn converse(&mut self, requests: &mut Streaming<DiscussRequest>) -> Result<(), Status> {
        loop {
            tokio::select! {
                request = requests.message() => match request? {
                    Some(request) => match self.act(request)? {
                        Next::Stay => {}
                        Next::Leave => return self.hear_out().await,
                    },
                    None => return self.hear_out().await,
                },
                remark = next_remark(&mut self.book) => match remark {
                    Ok(remark) => {
                        if self.replies.send(Ok(remark)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Err(_) => return Err(Refusal::TooSlow.into()),
                },
                () = self.replies.closed() => return Ok(()),
            }
        }
    }

    fn act(&mut self, request: DiscussRequest) -> Result<Next, Refusal> {
        if self.book.is_none() {
            let name = BookName::parse("name", &request.name)?;
            self.store.get(&name)?;
            let remarks = self.discussions.listen(&name);
            self.book = Some((name, remarks));
        }
        match request.action {
            None | Some(Action::Leave(false)) => Ok(Next::Stay),
            Some(Action::Leave(true)) => Ok(Next::Leave),
            Some(Action::Join(speaker)) => {
                if speaker.trim().is_empty() || speaker.chars().count() > 60 {
                    return Err(invalid("join", "OUT_OF_RANGE", "from 1 to 60 characters"));
                }
                self.speaker = Some(speaker);
                self.say("takes a seat")
            }
            Some(Action::Say(text)) => {
                if text.chars().count() > LONGEST_REMARK {
                    return Err(invalid("say", "TOO_LONG", "at most 1000 characters"));
                }
                self.say(&text)
            }
        }
    }

    fn say(&self, text: &str) -> Result<Next, Refusal> {
        let Some(speaker) = &self.speaker else {
            return Err(invalid("say", "NOT_SEATED", "join before you speak"));
        };
        if let Some((book, _)) = &self.book {
            self.discussions.say(book, speaker, text);
        }
        Ok(Next::Stay)
    }

    /// Brings what was said before the participant left.
    async fn hear_out(&mut self) -> Result<(), Status> {
        if let Some((_, remarks)) = &mut self.book {
            while let Ok(remark) = remarks.try_recv() {
                if self.replies.send(Ok(remark)).await.is_err() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The next remark about the book; never, while there is no book.
async fn next_remark(
    book: &mut Option<(BookName, broadcast::Receiver<Remark>)>,
) -> Result<Remark, broadcast::error::RecvError> {
    match book {
        Some((_, remarks)) => remarks.recv().await,
        None => std::future::pending().await,
    }
}
