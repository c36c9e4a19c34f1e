//! Outermost: request id and trace context go in, one observation comes out.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::watch;
use tokio::time::sleep;
use tower::{Layer, Service};

use super::load::{Counted, Load};
use super::render::Rendered;
use super::resolve::Routed;
use super::streams::{SLICE, Said, say};
use super::watch::{Busy, Watch};
use crate::policy::identity::FromCaller;
use crate::policy::{ClientAddress, Held, Principal, Protocol};
use crate::protocol::websocket::{Session, Stop};
use crate::protocol::{Aborted, ReplyBody};
use crate::telemetry::{Observation, Observer, REQUEST_ID, request_id, traceparent};

/// Makes an [`Observation`] of every request.
#[derive(Clone)]
pub(super) struct Observe {
    observer: Arc<Observer>,
    load: Arc<Load>,
}

impl Observe {
    pub(super) fn new(observer: Arc<Observer>, load: Arc<Load>) -> Self {
        Self { observer, load }
    }
}

impl<S> Layer<S> for Observe {
    type Service = ObserveService<S>;
    fn layer(&self, inner: S) -> ObserveService<S> {
        ObserveService { inner, observer: Arc::clone(&self.observer), load: Arc::clone(&self.load) }
    }
}

/// Whose requests they are. A mounted gateway has no connections of its own and doesn't know.
#[derive(Clone)]
pub(super) struct Client {
    /// Address and port, as logs have it.
    pub peer: Arc<str>,
    pub watch: Arc<Watch>,
    /// Turns true when the listener is to close, or the process to stop.
    pub stop: watch::Receiver<bool>,
    /// How long a session may go on after that.
    pub drain: Duration,
    /// What is held for as long as anything of the connection is left.
    pub held: Arc<dyn Send + Sync>,
}

impl Client {
    /// Ready when a session is to end.
    async fn stopping(mut self) {
        // It fails only where nobody is left to tell it, and then the process ends anyway.
        let _ = self.stop.wait_for(|stop| *stop).await;
        sleep(self.drain).await;
    }
}

#[derive(Clone)]
pub(super) struct ObserveService<S> {
    inner: S,
    observer: Arc<Observer>,
    load: Arc<Load>,
}

impl<S, B> Service<Request<B>> for ObserveService<S>
where
    S: Service<Request<B>, Response = Rendered, Error = Infallible, Future: Routed>,
{
    type Response = Response<Observed>;
    type Error = Infallible;
    type Future = ObserveFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.call_of(None, request)
    }
}

impl<S> ObserveService<S> {
    /// The call of a client whose connection is known.
    pub(super) fn call_of<B>(
        &mut self,
        client: Option<&Client>,
        mut request: Request<B>,
    ) -> ObserveFuture<S::Future>
    where
        S: Service<Request<B>, Response = Rendered, Error = Infallible, Future: Routed>,
    {
        let id = request_id(request.headers_mut());
        traceparent(request.headers_mut());
        let mut observation = Observation::begin(
            Arc::clone(&self.observer),
            request.method().clone(),
            request.uri().clone(),
            client.map(|client| Arc::clone(&client.peer)),
            request.extensions().get::<ClientAddress>().map(|client| client.0),
            id,
        );
        if let Some(attempts) = observation.attempts() {
            request.extensions_mut().insert(attempts);
        }
        // Over HTTP/1 it shows in the bytes of the connection whether a client takes them.
        let most = if request.version() == Version::HTTP_2 { SLICE } else { usize::MAX };
        let busy = client.map(|client| client.watch.begin());
        let counted = self.load.begin();
        // It is resolved when this returns, though nothing of it is done.
        let inner = self.inner.call(request);
        let protocol = inner.protocol();
        if let Some(protocol) = protocol {
            observation.speaks(protocol.as_str());
        }
        // A session outlives what serves its connection.
        let client = client.filter(|_| protocol == Some(Protocol::WebSocket)).cloned();
        if let (Some(method), Some(upstream)) = (inner.method(), inner.served_by()) {
            observation.is_of(Arc::clone(&method.stats), upstream);
        }
        let kept = Kept { _busy: busy, _counted: counted, _held: None };
        ObserveFuture { inner, observed: Some((observation, kept)), client, most }
    }
}

/// What a request holds until its answer is over.
struct Kept {
    _busy: Option<Busy>,
    _counted: Counted,
    /// Its places among the calls that may be under way at once.
    _held: Option<Held>,
}

pin_project! {
    pub(super) struct ObserveFuture<F> {
        #[pin]
        inner: F,
        observed: Option<(Observation, Kept)>,
        client: Option<Client>,
        most: usize,
    }
}

impl<F> Future for ObserveFuture<F>
where
    F: Future<Output = Result<Rendered, Infallible>> + FromCaller,
{
    type Output = Result<Response<Observed>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let rendered = match ready!(this.inner.as_mut().poll(cx)) {
            Ok(rendered) => rendered,
            Err(never) => match never {},
        };
        let Some((mut observation, mut kept)) = this.observed.take() else { return Poll::Pending };
        let mut response = rendered.response;
        let id = observation.request_id().clone();
        response.headers_mut().insert(REQUEST_ID, id);
        if let Some(identity) = this.inner.principal().and_then(Principal::identity) {
            observation.is_by(identity.source.name());
        }
        observation.answered(response.status().as_u16(), rendered.fault.as_ref());
        kept._held = response.extensions_mut().remove::<Held>();
        if let Some(session) = response.body_mut().take_session() {
            tokio::spawn(attend(session, observation, kept, this.client.take()));
            return Poll::Ready(Ok(response.map(|body| Observed::new(body, *this.most, None, None))));
        }
        if response.body().is_end_stream() {
            // There is nothing of it that hyper would ask for.
            observation.completed();
        }
        Poll::Ready(Ok(response.map(|body| Observed::new(body, *this.most, Some(observation), Some(kept)))))
    }
}

/// Runs what goes on once a connection is a WebSocket, and tells of it at its end.
async fn attend(session: Session, mut observation: Observation, kept: Kept, client: Option<Client>) {
    let held = client.as_ref().map(|client| Arc::clone(&client.held));
    let stop: Stop = match client {
        Some(client) => Box::pin(client.stopping()),
        None => Box::pin(std::future::pending()),
    };
    match session(stop).await {
        Some(fault) => observation.failed(&fault),
        None => observation.completed(),
    }
    drop(observation);
    drop((kept, held));
}

/// The body of an answer, which tells the observation what becomes of it.
pub struct Observed {
    body: ReplyBody,
    /// What came of a piece that was too large, and is not handed over yet.
    rest: Bytes,
    /// The largest piece that is handed over.
    most: usize,
    /// None where another one tells of it.
    observation: Option<Observation>,
    _kept: Option<Kept>,
}

impl Observed {
    fn new(body: ReplyBody, most: usize, observation: Option<Observation>, kept: Option<Kept>) -> Self {
        Self { body, rest: Bytes::new(), most, observation, _kept: kept }
    }

    /// Keeps what is too large for one piece.
    fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) if data.len() > self.most => {
                self.rest = data.split_off(self.most);
                Frame::data(data)
            }
            Ok(data) => Frame::data(data),
            Err(other) => other,
        }
    }
}

impl Body for Observed {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let this = &mut *self;
        let frame = if this.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
                say(Said::Wait);
                return Poll::Pending;
            };
            frame.map(|frame| frame.map(|frame| this.cut(frame)))
        } else {
            Some(Ok(Frame::data(this.rest.split_to(this.rest.len().min(this.most)))))
        };
        say(Said::Piece);
        let ends = this.is_end_stream();
        let Some(observation) = &mut this.observation else { return Poll::Ready(frame) };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            observation.sent(data.len());
        }
        if let Some(fault) = this.body.take_fault() {
            observation.failed(&fault);
        }
        if frame.is_none() || (matches!(frame, Some(Ok(_))) && ends) {
            observation.completed();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        match hint.exact() {
            Some(exact) => hint.set_exact(exact + rest),
            None => hint.set_lower(hint.lower() + rest),
        }
        hint
    }
}
