//! Calls whose messages the gateway reads: a client's frames become messages, those become the backend's, and its
//! replies go the way back. What is particular to the client's protocol comes from outside; deadline, faults and
//! clients that leave are seen to here.

mod coding;
mod download;
mod exchange;
mod pause;
mod translate;
mod upload;
mod writer;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

pub(super) use coding::{Codings, Names, known};
pub(super) use download::{Download, Writer};
pub use exchange::Exchange;
pub(super) use exchange::Terms;
pub(super) use pause::Silence;
pub(super) use translate::Translator;

use crate::fault::Fault;

/// What sends a client's messages, for as long as it is polled.
pub(super) type Upload = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// Waits for `work` while the client's messages are sent. A request that can't be sent is what failed then.
pub(super) async fn alongside<T>(
    upload: &mut Option<Upload>,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Some(sending) = upload
            && let Poll::Ready(sent) = sending.as_mut().poll(cx)
        {
            *upload = None;
            if let Err(fault) = sent {
                return Poll::Ready(Err(fault));
            }
        }
        work.as_mut().poll(cx)
    })
    .await
}
