//! The reply's direction: data goes on as it comes, as fast as the client takes it, and then the status.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use smallvec::SmallVec;

use super::forward::Forward;
use super::status::trailers_of;
use crate::fault::{Fault, Kind};
use crate::policy::TimeLimit;
use crate::protocol::body::{Aborted, BoxError, LiveBody, ReplyBody};
use crate::protocol::carrier::{Carrier, Last};
use crate::protocol::in_time::Expire;
use crate::protocol::metadata;
use crate::upstream::{Again, BadFrame, FrameWalk, Incoming, broken, within};

/// Data and trailers of HTTP/2 itself.
pub(in crate::protocol) struct Native;

impl Carrier for Native {
    const FLAGS: u8 = 1;

    fn data(&mut self, data: Bytes) -> Bytes {
        data
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Option<Last> {
        trailers.map(Last::Trailers)
    }

    fn fail(&mut self, fault: &mut Fault, request_id: Option<&str>) -> Last {
        Last::Trailers(trailers_of(fault, request_id))
    }
}

/// Both directions of a call that passes through.
pub(in crate::protocol) struct Pass<B, C> {
    forward: Option<Forward<B>>,
    /// None once all has come.
    reply: Option<Incoming>,
    walk: FrameWalk,
    carrier: C,
    /// Whether there is one message in reply, not any number.
    single: bool,
    limit: TimeLimit,
    request_id: Option<String>,
    /// What the call fails with, once all data that came before it is handed over.
    failing: Option<Fault>,
    /// What it has failed with.
    fault: Option<Fault>,
    /// Data that came while it was not clear how the reply would end.
    early: SmallVec<[Bytes; 2]>,
    /// Until the client has anything of the answer, where the call may be tried again.
    again: Option<Box<Again>>,
    max_reply: usize,
}

/// What is known of a reply before its head goes to the client.
pub(in crate::protocol) enum Begun {
    /// All of it, and it is well.
    Whole(ReplyBody),
    /// It goes on, or does not end well.
    Live,
    /// It has failed, and there is another one that has no head yet.
    Again,
}

/// What comes next of a reply.
enum Step {
    Data(Bytes),
    Ended(Option<HeaderMap>),
}

impl<B, C> Pass<B, C>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: Into<BoxError>,
    C: Carrier,
{
    pub(in crate::protocol) fn new(
        forward: Forward<B>,
        reply: Incoming,
        carrier: C,
        single: bool,
        max_reply: usize,
        limit: TimeLimit,
    ) -> Self {
        Self {
            forward: Some(forward),
            reply: Some(reply),
            walk: FrameWalk::new(max_reply, C::FLAGS),
            carrier,
            single,
            limit,
            request_id: None,
            failing: None,
            fault: None,
            early: SmallVec::new(),
            again: None,
            max_reply,
        }
    }

    /// Lets the call be tried again until the client has anything of the answer.
    pub(in crate::protocol) fn with_again(mut self, again: Option<Box<Again>>) -> Self {
        if let (Some(_), Some(forward)) = (&again, &mut self.forward) {
            forward.keep();
        }
        self.again = again;
        self
    }

    /// For the faults that come when the head is sent already.
    pub(in crate::protocol) fn identify(&mut self, request_id: Option<&str>) {
        self.request_id = request_id.map(str::to_owned);
    }

    /// Waits for the initial metadata while the request goes on. Whatever fails before it is tried again, if it may be.
    pub(in crate::protocol) async fn head(&mut self) -> Result<HeaderMap, Fault> {
        loop {
            let (forward, again) = (&mut self.forward, &mut self.again);
            let Some(reply) = &mut self.reply else { return Ok(HeaderMap::new()) };
            let late = again.as_ref().and_then(|again| again.ends());
            let answered = async {
                let mut head = std::pin::pin!(reply.head());
                std::future::poll_fn(|cx| {
                    poll_forward(forward, again, cx)?;
                    head.as_mut().poll(cx)
                })
                .await
            };
            let fault = match late {
                None => answered.await,
                Some(ends) => within(ends, answered).await,
            };
            match fault {
                Ok(head) => {
                    if !self.single {
                        self.commit();
                    }
                    return Ok(head);
                }
                Err(fault) => self.restart(fault).await?,
            }
        }
    }

    /// Tries the call again that has failed so.
    async fn restart(&mut self, fault: Fault) -> Result<(), Fault> {
        let (Some(again), Some(forward)) = (&mut self.again, &mut self.forward) else { return Err(fault) };
        if !forward.is_kept() {
            return Err(fault);
        }
        let (sender, reply) = Box::pin(again.reopen(fault)).await?;
        forward.restart(sender);
        self.reply = Some(reply);
        self.early.clear();
        self.walk = FrameWalk::new(self.max_reply, C::FLAGS);
        Ok(())
    }

    /// From now on the answer is what it is.
    fn commit(&mut self) {
        if let Some(again) = self.again.take() {
            again.commit();
        }
        if let Some(forward) = &mut self.forward {
            forward.forget();
        }
    }

    /// Waits for the end of a reply of one small message, so that it can be sent as a whole.
    pub(in crate::protocol) async fn begin(&mut self) -> Begun {
        if !self.single {
            return Begun::Live;
        }
        let ends = self.again.as_ref().and_then(|again| again.ends());
        let whole = std::future::poll_fn(|cx| self.poll_whole(cx));
        let begun = match ends {
            None => whole.await,
            Some(ends) => within(ends, whole).await,
        };
        let fault = match begun {
            Ok(begun) => {
                self.commit();
                return begun;
            }
            Err(fault) => fault,
        };
        match self.restart(fault).await {
            Ok(()) => Begun::Again,
            Err(fault) => {
                if fault.kind() != Kind::Backend {
                    // Half an answer is none. What a backend says before its status passes.
                    self.early.clear();
                }
                self.commit();
                self.failing = Some(fault);
                Begun::Live
            }
        }
    }

    /// Takes in a reply until it is whole, or known to be larger.
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<Begun, Fault>> {
        loop {
            match ready!(self.poll_step(cx))? {
                Step::Data(data) => {
                    self.early.push(data);
                    if self.early.len() > 1 {
                        return Poll::Ready(Ok(Begun::Live));
                    }
                }
                Step::Ended(trailers) => {
                    let data = self.early.pop().unwrap_or_default();
                    let last = self.carrier.end(trailers.map(metadata::into_grpc_response));
                    return Poll::Ready(Ok(Begun::Whole(Last::behind(last, data, &mut self.carrier))));
                }
            }
        }
    }

    /// The next of both directions. Nothing comes after the end.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Fault>> {
        poll_forward(&mut self.forward, &mut self.again, cx)?;
        let Some(reply) = &mut self.reply else { return Poll::Ready(Ok(Step::Ended(None))) };
        if let Some(data) = ready!(reply.poll_data(cx)) {
            let data = data?;
            let mut walked = self.walk.step(&data).map_err(BadFrame::of_backend);
            if walked.is_ok() && self.single && self.walk.messages() > 1 {
                walked = Err(broken("more than one message"));
            }
            return Poll::Ready(match walked {
                Ok(()) => Ok(Step::Data(data)),
                Err(fault) => {
                    reply.refuse(&fault);
                    Err(fault)
                }
            });
        }
        let mut trailers = ready!(reply.poll_trailers(cx))?;
        let ending = reply.ending(trailers.as_ref());
        let early = reply.is_early();
        self.reply = None;
        if self.again.is_none() {
            // What the client still sends is of no use to a backend that has said everything.
            self.forward = None;
        }
        if let Err(fault) = ending {
            // The backend's own words go on as they are.
            let own = if fault.kind() == Kind::Backend { trailers.take() } else { None };
            return Poll::Ready(Err(fault.with_headers(own.unwrap_or_default())));
        }
        if !self.walk.is_between() {
            return Poll::Ready(Err(broken("a truncated message")));
        }
        if self.single && self.walk.messages() != 1 && !early {
            return Poll::Ready(Err(broken("OK with another number of messages than one")));
        }
        Poll::Ready(Ok(Step::Ended(trailers)))
    }

    fn fail(&mut self, fault: Fault) -> Frame<Bytes> {
        let mut fault = self.limit.judge(fault);
        // Dropping the reply's side abandons the call, if it isn't over.
        self.reply = None;
        self.forward = None;
        let last = self.carrier.fail(&mut fault, self.request_id.as_deref());
        self.fault = Some(fault);
        last.into_frame(&mut self.carrier)
    }
}

/// Sends on what the client has sent. A request that can't be sent on is what the call fails with.
fn poll_forward<B>(
    forward: &mut Option<Forward<B>>,
    again: &mut Option<Box<Again>>,
    cx: &mut Context<'_>,
) -> Result<(), Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    if let Some(sending) = forward
        && let Poll::Ready(sent) = sending.poll(cx, again.as_deref_mut())
    {
        if again.is_none() {
            *forward = None;
        }
        sent?;
    }
    Ok(())
}

impl<B, C> LiveBody for Pass<B, C>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: Into<BoxError>,
    C: Carrier,
{
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if !self.early.is_empty() {
            let data = self.early.remove(0);
            return Poll::Ready(Some(Ok(Frame::data(self.carrier.data(data)))));
        }
        if let Some(fault) = self.failing.take() {
            return Poll::Ready(Some(Ok(self.fail(fault))));
        }
        if self.reply.is_none() {
            return Poll::Ready(None);
        }
        let frame = match ready!(self.poll_step(cx)) {
            Ok(Step::Data(data)) => Some(Frame::data(self.carrier.data(data))),
            Ok(Step::Ended(trailers)) => {
                let last = self.carrier.end(trailers.map(metadata::into_grpc_response));
                last.map(|last| last.into_frame(&mut self.carrier))
            }
            Err(fault) => Some(self.fail(fault)),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }
}

impl<B, C> Expire for Pass<B, C>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: Into<BoxError>,
    C: Carrier,
{
    fn expire(&mut self) {
        if self.reply.take().is_some() {
            self.forward = None;
            self.failing = Some(self.limit.passed());
        }
    }
}
