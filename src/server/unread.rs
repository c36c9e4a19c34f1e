//! HTTP/1: a connection whose request was answered before it was read is closed, unless the rest of it is there already. Its
//! client is told not to use it again: otherwise its next request might meet the end of the connection, and it could not
//! know whether that was served.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::drain::Signs;
use super::render::Rendered;
use super::resolve::Routed;
use super::watch::Watch;
use crate::policy::identity::FromCaller;
use crate::policy::{Method, Principal, Protocol};
use crate::telemetry::ServedBy;

/// Whether the end of a request's body may be missed. In HTTP/2 each request has a stream of its own.
pub(super) fn may_be_left<B: Body>(request: &Request<B>) -> bool {
    request.version() < Version::HTTP_2 && !request.body().is_end_stream()
}

/// Says `Connection: close` where the request's body is not read to its end yet, or where the process is about to stop. A
/// body that is only ignored is thrown away, if it is not too long in coming.
#[derive(Clone)]
pub(super) struct Unread(pub Option<Signs>);

impl<S> Layer<S> for Unread {
    type Service = UnreadService<S>;
    fn layer(&self, inner: S) -> UnreadService<S> {
        UnreadService { inner, signs: self.0.clone().map(Arc::new) }
    }
}

#[derive(Clone)]
pub(super) struct UnreadService<S> {
    inner: S,
    /// None where the server is somebody else's.
    signs: Option<Arc<Signs>>,
}

impl<S, B> Service<Request<B>> for UnreadService<S>
where
    S: Service<Request<Watched<B>>, Response = Rendered, Error = Infallible>,
    B: Body,
{
    type Response = Rendered;
    type Error = Infallible;
    type Future = UnreadFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let watches = may_be_left(&request);
        let progress = watches.then(Arc::<Progress>::default);
        let connection = request.extensions_mut().remove::<Arc<Watch>>();
        let request = request.map(|inner| Watched { inner, progress: progress.clone(), connection });
        // HTTP/2 says it for the whole connection.
        let signs = self.signs.as_ref().filter(|_| request.version() < Version::HTTP_2);
        UnreadFuture { signs: signs.map(Arc::clone), inner: self.inner.call(request), progress }
    }
}

pin_project! {
    pub(super) struct UnreadFuture<F> {
        #[pin]
        inner: F,
        progress: Option<Arc<Progress>>,
        signs: Option<Arc<Signs>>,
    }
}

impl<F> Future for UnreadFuture<F>
where
    F: Future<Output = Result<Rendered, Infallible>>,
{
    type Output = Result<Rendered, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut rendered = match ready!(this.inner.poll(cx)) {
            Ok(rendered) => rendered,
            Err(never) => match never {},
        };
        let ends = match this.progress.as_deref().map(Progress::stage) {
            None | Some(Stage::Ended) => false,
            // Whether the rest will be read is not known, and a later word about it can't be said.
            Some(Stage::Begun | Stage::Held) => true,
            Some(Stage::Ignored) => rendered.fault.is_some(),
        };
        let leaves = this.signs.as_ref().is_some_and(|signs| signs.is_leaving());
        // A connection that becomes a WebSocket is no longer one of HTTP.
        if ends || leaves && rendered.response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let close = HeaderValue::from_static("close");
            rendered.response.headers_mut().insert(header::CONNECTION, close);
        }
        Poll::Ready(Ok(rendered))
    }
}

impl<F: FromCaller> FromCaller for UnreadFuture<F> {
    fn principal(&self) -> Option<&Principal> {
        self.inner.principal()
    }
}

impl<F: Routed> Routed for UnreadFuture<F> {
    fn method(&self) -> Option<&Arc<Method>> {
        self.inner.method()
    }

    fn served_by(&self) -> Option<ServedBy> {
        self.inner.served_by()
    }

    fn protocol(&self) -> Option<Protocol> {
        self.inner.protocol()
    }
}

/// How far a body was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Somebody has it, who may yet read it.
    Held,
    Begun,
    Ended,
    /// It was given away without a look.
    Ignored,
}

/// Shared by a body and what waits for the answer.
#[derive(Default)]
struct Progress {
    begun: AtomicBool,
    ended: AtomicBool,
    dropped: AtomicBool,
}

impl Progress {
    fn stage(&self) -> Stage {
        let [begun, ended, dropped] =
            [&self.begun, &self.ended, &self.dropped].map(|flag| flag.load(Ordering::Relaxed));
        match (begun, ended, dropped) {
            (_, true, _) => Stage::Ended,
            (true, false, _) => Stage::Begun,
            (false, false, true) => Stage::Ignored,
            (false, false, false) => Stage::Held,
        }
    }
}

/// A body that tells how far it was read.
pub(super) struct Watched<B> {
    inner: B,
    progress: Option<Arc<Progress>>,
    /// What else is to know. A mounted gateway has no connections of its own.
    connection: Option<Arc<Watch>>,
}

impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        let Some(progress) = &self.progress else { return };
        progress.dropped.store(true, Ordering::Relaxed);
        if let Some(connection) = &self.connection
            && progress.stage() != Stage::Ended
        {
            connection.give_up();
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(progress) = &self.progress {
            progress.begun.store(true, Ordering::Relaxed);
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(progress) = &self.progress
            && (frame.is_none() || self.inner.is_end_stream())
        {
            progress.ended.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
