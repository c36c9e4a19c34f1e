//! The request's side of a client stream: pieces of a body become messages, no faster than the backend takes them.

use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use http_body::Body;

use super::exchange::Exchange;
use crate::fault::Fault;
use crate::policy::Bound;
use crate::protocol::body::BoxError;
use crate::protocol::read;
use crate::transcode::{Elements, HttpBody, Input, Maker, Url};
use crate::upstream::{Closed, Sender};

/// What is needed to make messages of a client stream.
pub(super) struct Source {
    pub exchange: Arc<Exchange>,
    pub method: Arc<crate::policy::Method>,
    pub bound: Bound,
    pub uri: Uri,
    /// Of a raw body.
    pub content_type: String,
    /// The largest message, in bytes.
    pub max: usize,
}

/// Sends all messages of `body` and ends the request, unless the backend wants no more.
///
/// # Errors
/// A body that can't be understood or ends early. The call must not be completed then: dropping the reply's side abandons
/// it, so that the backend never takes a part for the whole.
pub(super) async fn send_all<B>(source: Source, mut sender: Sender, body: B) -> Result<(), Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError> + Send,
{
    let sent = if source.bound.binding.raw_request {
        send_pieces(&source, &mut sender, body).await?
    } else {
        send_elements(&source, &mut sender, body).await?
    };
    if sent.is_ok() {
        sender.finish();
    }
    Ok(())
}

type Sent = Result<(), Closed>;

async fn send_elements<B>(source: &Source, sender: &mut Sender, mut body: B) -> Result<Sent, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError> + Send,
{
    let mut elements = Elements::new(source.max);
    let mut first = true;
    loop {
        let element = match elements.next_element()? {
            Some(element) => element,
            None => match read::next(&mut body, source.exchange.settings.body_patience).await? {
                Some(data) => {
                    elements.push(&data);
                    continue;
                }
                None => match elements.finish()? {
                    Some(element) => element,
                    None => return Ok(Ok(())),
                },
            },
        };
        let message = if std::mem::take(&mut first) {
            source.first(&element)?
        } else {
            source.maker().later_message(&element)?
        };
        if let Err(closed) = sender.send(message).await {
            return Ok(Err(closed));
        }
    }
}

async fn send_pieces<B>(source: &Source, sender: &mut Sender, mut body: B) -> Result<Sent, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError> + Send,
{
    let mut first = true;
    loop {
        let data = read::next(&mut body, source.exchange.settings.body_patience).await?;
        // An empty body is one empty piece.
        let (data, last) = match data {
            Some(data) => (data, false),
            None if first => (Bytes::new(), true),
            None => return Ok(Ok(())),
        };
        let message = source.piece(data, std::mem::take(&mut first))?;
        if let Err(closed) = sender.send(message).await {
            return Ok(Err(closed));
        }
        if last {
            return Ok(Ok(()));
        }
    }
}

impl Source {
    fn maker(&self) -> Maker<'_> {
        let rules = &self.exchange.settings.request;
        Maker { plan: &self.method.input, binding: &self.bound.binding, rules }
    }

    fn url(&self) -> Url<'_> {
        Url { path: self.uri.path(), captures: &self.bound.captures, query: self.uri.query() }
    }

    fn first(&self, element: &[u8]) -> Result<Bytes, Fault> {
        // What it wishes of the answer was read before the call began.
        Ok(self.maker().message(self.url(), Input::Json(element))?.message)
    }

    fn piece(&self, data: Bytes, first: bool) -> Result<Bytes, Fault> {
        let url = first.then(|| self.url());
        // The type is said once, with the first piece.
        let content_type = if first { self.content_type.clone() } else { String::new() };
        Ok(self.maker().raw_message(url, &HttpBody { content_type, data })?.message)
    }
}
