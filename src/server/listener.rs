//! Accepting connections on one worker, and serving each with the HTTP that it speaks.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, Sleep, sleep, timeout_at};
use tower::Service;
use tracing::{debug, warn};

use super::drain::Signs;
use super::io::{ClientIo, Opening, Version, sniff};
use super::live::Live;
use super::observe::{Client, ObserveService, Observed};
use super::proxied::{self, Refused};
use super::refuse::refuse;
use super::render::Rendered;
use super::resolve::Routed;
use super::room::Room;
use super::settings::ConnectionSettings;
use super::streams::Streams;
use super::tls::{self, Came, Failure, Served, Settled};
use super::transport::Transport;
use super::unread::may_be_left;
use super::watch::{Inspector, Verdict, Watch};
use crate::policy::address::{Peer, ProxiedFor};
use crate::telemetry::Metrics;
use crate::tls::PeerCertificates;

/// After an error that concerns the process (no descriptors left), accepting again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection that has not said anything yet may still do so once its listener is told to stop: its first
/// request may be on the way.
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// The most connections that are taken from a socket's queue before it is closed.
const MOST_WAITING: usize = 65_536;
/// What one client stream and one connection may have under way.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// A connection on which HTTP can begin.
struct Opened {
    version: Version,
    io: ClientIo,
    /// Whose the connection is.
    peer: SocketAddr,
    /// The client's, where it showed some.
    certificates: Option<PeerCertificates>,
}

/// What connections of a listener are served by, on all workers. It is swapped as a whole; a connection keeps what it
/// began with.
pub(super) struct Acceptor {
    pub settings: ConnectionSettings,
    /// There where the settings have TLS.
    pub tls: Option<Served>,
    /// Room for connections, over all workers.
    pub room: Arc<Room>,
    pub metrics: Arc<Metrics>,
    /// Turns true when the listener is to close, or the process to stop.
    pub stop: watch::Receiver<bool>,
    pub signs: Option<Signs>,
}

/// Accepts until it is told to stop. `alive` is held by every connection, so that the worker knows when the last one is
/// gone.
pub(super) async fn accept_all<S>(
    door: Arc<ArcSwap<Acceptor>>,
    listener: StdListener,
    live: Arc<Live<S>>,
    alive: mpsc::Sender<()>,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Rendered, Error = Infallible, Future: Send + Routed>
        + Send
        + 'static,
{
    let listener = TcpListener::from_std(listener)?;
    let (mut stop, signs, room) = {
        let acceptor = door.load();
        (acceptor.stop.clone(), acceptor.signs.clone(), Arc::clone(&acceptor.room))
    };
    let mut replaced = pin!(async move {
        match signs {
            Some(mut signs) => signs.replaced().await,
            None => std::future::pending().await,
        }
    });
    let begin = |(stream, peer, place): Accepted| {
        let (acceptor, live, alive) = (door.load_full(), Arc::clone(&live), alive.clone());
        tokio::spawn(async move {
            let held = Arc::new((acceptor.metrics.connection(), place, alive));
            if let Err(error) = acceptor.serve(stream, peer, live, held).await {
                debug!(%peer, error, "connection ended");
            }
        });
    };
    loop {
        let accepted = tokio::select! {
            biased;
            // What waits at the socket is the other process's.
            () = &mut replaced => return Ok(()),
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok(accepted) => begin(accepted),
            Err(error) => {
                warn!(listener = door.load().settings.name, %error, "can't accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    waiting(listener.into_std()?, &room).for_each(begin);
    Ok(())
}

impl Acceptor {
    async fn serve<S>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        live: Arc<Live<S>>,
        held: Arc<dyn Send + Sync>,
    ) -> Result<(), String>
    where
        S: Service<Request<Incoming>, Response = Rendered, Error = Infallible, Future: Send + Routed>
            + Send
            + 'static,
    {
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let watch = Arc::new(Watch::default());
        let mut stop = self.stop.clone();
        let out_of_time = async move {
            // It fails only where nobody is left to tell it, and then the process ends anyway.
            let _ = stop.wait_for(|stop| *stop).await;
            sleep(LAST_REQUEST).await;
        };
        let opened = tokio::select! {
            biased;
            opened = self.open(stream, peer, &watch) => opened?,
            () = out_of_time => return Ok(()),
        };
        let Some(Opened { version, io, peer, certificates }) = opened else { return Ok(()) };
        let client = Client {
            peer: peer.to_string().into(),
            watch: Arc::clone(&watch),
            stop: self.stop.clone(),
            drain: self.settings.drain,
            held,
        };
        let from = Peer::new(peer, self.tls.is_some(), &self.settings.forwarding);
        let service = Hyper { live, client, from, certificates, watch: Arc::clone(&watch) };
        match version {
            Version::Http1 => {
                let connection = self.http1().serve_connection(TokioIo::new(io), service).with_upgrades();
                self.drive(pin!(connection), &watch, true).await
            }
            Version::Http2 => {
                let streams = Streams::new(self.settings.timeouts.write, Arc::clone(&watch));
                let connection = self.http2(streams).serve_connection(TokioIo::new(io), service);
                self.drive(pin!(connection), &watch, false).await
            }
        }
    }

    /// Finds out what a client speaks, in the time that a head may take. `None` where there is nothing to serve.
    async fn open(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
        watch: &Arc<Watch>,
    ) -> Result<Option<Opened>, String> {
        let deadline = Instant::now() + self.settings.timeouts.head;
        let Some(peer) = self.introduce(&mut stream, peer, deadline).await else { return Ok(None) };
        let (transport, agreed, certificates) = match &self.tls {
            None => (Transport::Plain(stream), None, None),
            // Boxed, so that plain connections have no room for it.
            Some(served) => match Box::pin(self.secure(stream, peer, served, deadline)).await {
                Some((transport, Settled { http, peer, .. })) => (transport, http, peer),
                None => return Ok(None),
            },
        };
        let sniffed = timeout_at(deadline, sniff(transport, Arc::clone(watch))).await;
        let sniffed =
            sniffed.map_err(|_| "no request in time".to_owned())?.map_err(|error| error.to_string())?;
        let Some((opening, mut io)) = sniffed else { return Ok(None) };
        let version = match (agreed, opening) {
            // What does not keep to it will fail in the terms of what was agreed.
            (Some(version), _) => version,
            (None, Opening::Http2) => Version::Http2,
            (None, Opening::Tls) if self.tls.is_none() => {
                self.failed(peer, Failure::PlainPort, "TLS on a port for plain HTTP");
                let _ = timeout_at(deadline, refuse(io, opening)).await;
                return Ok(None);
            }
            // TLS within TLS is no HTTP either, and HTTP/1 has the words for that.
            (None, Opening::Http1 | Opening::Tls) => Version::Http1,
        };
        io.lingers = version == Version::Http1;
        Ok(Some(Opened { version, io, peer, certificates }))
    }

    /// Finds out whose a connection is, from the load balancer before it where there is one. `None` where that fails,
    /// which is counted and logged here.
    async fn introduce(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
        deadline: Instant,
    ) -> Option<SocketAddr> {
        let Some(trusted) = &self.settings.proxy_protocol else { return Some(peer) };
        let read = timeout_at(deadline, proxied::read(stream, peer, trusted)).await;
        let refused = match read.unwrap_or(Err(Refused::TimedOut)) {
            Ok(Some(ProxiedFor::Client(client))) => return Some(client),
            Ok(Some(ProxiedFor::Peer)) => return Some(peer),
            // As health checks of load balancers do.
            Ok(None) => return None,
            Err(refused) => refused,
        };
        let (listener, reason) = (&self.settings.name, refused.as_str());
        self.metrics.addresses().unproxied(listener, reason);
        debug!(%peer, listener, reason, "the PROXY protocol failed");
        None
    }

    /// Does the TLS handshake; `None` where it fails, which is counted and logged here.
    async fn secure(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        served: &Served,
        deadline: Instant,
    ) -> Option<(Transport, Settled)> {
        match timeout_at(deadline, tls::accept(stream, served)).await {
            Ok(Ok(Came::Secure(stream))) => {
                let settled = tls::settled(&stream);
                self.metrics.tls().handshake(&self.settings.name, settled.tls, settled.resumed);
                return Some((Transport::Tls(stream), settled));
            }
            Ok(Ok(Came::Plain(stream))) => {
                self.failed(peer, Failure::PlainText, "plain HTTP on a port for TLS");
                let say = async {
                    if let Ok(Some((opening, io))) = sniff(Transport::Plain(stream), Arc::default()).await {
                        refuse(io, opening).await;
                    }
                };
                let _ = timeout_at(deadline, say).await;
            }
            // As health checks of load balancers do.
            Ok(Ok(Came::Left)) => {}
            Ok(Err(error)) => self.failed(peer, Failure::of(&error), &error.to_string()),
            Err(_) => self.failed(peer, Failure::TimedOut, "the handshake did not end in time"),
        }
        None
    }

    fn failed(&self, peer: SocketAddr, failure: Failure, error: &str) {
        let (listener, reason) = (&self.settings.name, failure.as_str());
        self.metrics.tls().failed(listener, reason);
        debug!(%peer, listener, reason, error, "TLS handshake failed");
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // `Watch` does this with one timer for a connection.
            .header_read_timeout(None)
            .max_buf_size(self.settings.limits.head.max(MIN_HEAD))
            .max_header_size(self.settings.limits.head);
        builder
    }

    fn http2(&self, streams: Streams) -> http2::Builder<Streams> {
        let mut builder = http2::Builder::new(streams);
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(self.settings.limits.streams)
            // WebSockets over HTTP/2 (RFC 8441).
            .enable_connect_protocol()
            .max_header_list_size(u32::try_from(self.settings.limits.head).unwrap_or(u32::MAX));
        builder
    }

    /// Polls a connection to its end, to the end of its patience, or to the end of the process.
    async fn drive<C>(
        &self,
        mut connection: Pin<&mut C>,
        watch: &Watch,
        sees_heads: bool,
    ) -> Result<(), String>
    where
        C: Graceful,
    {
        let mut inspector = Inspector::new(self.settings.timeouts, sees_heads);
        let mut stop = self.stop.clone();
        let mut stopping = pin!(async move {
            // It fails only where nobody is left to tell it, and then the process ends anyway.
            let _ = stop.wait_for(|stop| *stop).await;
        });
        // From the moment that it is told to stop.
        let mut drain: Option<Pin<Box<Sleep>>> = None;
        let mut clock = pin!(sleep(inspector.interval()));
        poll_fn(|cx| {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(|error| error.to_string()));
            }
            if let Some(drain) = &mut drain {
                if drain.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err("its calls took longer than a drain may".to_owned()));
                }
            } else if stopping.as_mut().poll(cx).is_ready() {
                let drain = drain.insert(Box::pin(sleep(self.settings.drain)));
                let _ = drain.as_mut().poll(cx);
                connection.as_mut().finish();
                // What it says by that has to be polled out.
                return connection.as_mut().poll(cx).map(|result| result.map_err(|error| error.to_string()));
            }
            while clock.as_mut().poll(cx).is_ready() {
                match inspector.look(watch) {
                    Verdict::Fine => {}
                    Verdict::SlowHead => {
                        return Poll::Ready(Err("a request's head did not come in time".to_owned()));
                    }
                    Verdict::Unread => {
                        return Poll::Ready(Err("the client takes nothing of its answers".to_owned()));
                    }
                    Verdict::Idle => {
                        connection.as_mut().finish();
                        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                            return Poll::Ready(result.map_err(|error| error.to_string()));
                        }
                    }
                }
                let next = tokio::time::Instant::now() + inspector.interval();
                clock.as_mut().reset(next);
            }
            Poll::Pending
        })
        .await
    }
}

/// hyper refuses a smaller read buffer.
const MIN_HEAD: usize = 8192;

/// A connection, whose it is, and its place among those that there may be.
type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

/// The connections in the queue of a socket that is about to be closed, which would reset them.
fn waiting(listener: StdListener, room: &Room) -> impl Iterator<Item = Accepted> {
    let next = move || {
        let place = room.try_place()?;
        // It doesn't block: there is none, or it can't be had.
        let (stream, peer) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer, place))
    };
    std::iter::from_fn(next).take(MOST_WAITING)
}

async fn accept(listener: &TcpListener, room: &Room) -> io::Result<Accepted> {
    // Above the limit connections wait in the kernel's queue.
    let place = room.place().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

/// A connection that can be asked to take no further request.
trait Graceful: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

type Io = TokioIo<ClientIo>;

impl<S> Graceful for http1::UpgradeableConnection<Io, Hyper<S>>
where
    Hyper<S>:
        hyper::service::HttpService<Incoming, ResBody = Observed, Error: Into<crate::protocol::BoxError>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Graceful for http2::Connection<Io, Hyper<S>, Streams>
where
    Hyper<S>:
        hyper::service::HttpService<Incoming, ResBody = Observed, Error: Into<crate::protocol::BoxError>>,
    Streams: hyper::rt::bounds::Http2ServerConnExec<
            <Hyper<S> as hyper::service::HttpService<Incoming>>::Future,
            Observed,
        >,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// The stack as hyper calls it. It isn't copied for each call: that would count some dozen references up and down.
struct Hyper<S> {
    live: Arc<Live<S>>,
    client: Client,
    from: Peer,
    /// Every request of the connection carries them.
    certificates: Option<PeerCertificates>,
    /// Told by a request's body when nobody reads it any more.
    watch: Arc<Watch>,
}

impl<S, B> hyper::service::Service<Request<B>> for Hyper<S>
where
    B: Body,
    S: Service<Request<B>, Response = Rendered, Error = Infallible, Future: Routed>,
{
    type Response = Response<Observed>;
    type Error = Infallible;
    type Future = <ObserveService<S> as Service<Request<B>>>::Future;

    fn call(&self, mut request: Request<B>) -> Self::Future {
        self.from.stamp(&mut request);
        if let Some(certificates) = &self.certificates {
            request.extensions_mut().insert(certificates.clone());
        }
        if may_be_left(&request) {
            request.extensions_mut().insert(Arc::clone(&self.watch));
        }
        self.live.call(&self.client, request)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use rustls_pki_types::CertificateDer;

    use super::super::load::Load;
    use super::super::observe::Observe;
    use super::*;
    use crate::policy::address::Forwarding;
    use crate::policy::identity::FromCaller;
    use crate::policy::{self, Method, Principal};
    use crate::protocol::ReplyBody;
    use crate::telemetry::Observer;

    /// Answers at once; the status tells what the request carried.
    #[derive(Clone)]
    struct Probe;

    struct Answered(Ready<Result<Rendered, Infallible>>);

    impl Future for Answered {
        type Output = Result<Rendered, Infallible>;
        fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
            Pin::new(&mut self.0).poll(cx)
        }
    }

    impl FromCaller for Answered {
        fn principal(&self) -> Option<&Principal> {
            None
        }
    }

    impl Routed for Answered {
        fn method(&self) -> Option<&Arc<Method>> {
            None
        }

        fn served_by(&self) -> Option<crate::telemetry::ServedBy> {
            None
        }

        fn protocol(&self) -> Option<policy::Protocol> {
            None
        }
    }

    impl Service<Request<String>> for Probe {
        type Response = Rendered;
        type Error = Infallible;
        type Future = Answered;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<String>) -> Answered {
            let carried = request.extensions().get::<PeerCertificates>();
            let status = carried.map_or(204, |carried| 200 + u16::from(carried.leaf()[0]));
            let response = Response::builder().status(status).body(ReplyBody::empty()).unwrap();
            Answered(ready(Ok(Rendered { response, fault: None })))
        }
    }

    #[tokio::test]
    async fn requests_carry_the_certificates_of_their_connection() {
        let observer = Arc::new(Observer { metrics: Arc::default(), access_log: None });
        for (chain, want) in [(vec![], 204), (vec![7, 9], 207)] {
            let chain: Vec<_> = chain.into_iter().map(|byte| CertificateDer::from(vec![byte])).collect();
            let live = Live::of(tower::Layer::layer(
                &Observe::new(Arc::clone(&observer), Arc::new(Load::new(9))),
                Probe,
            ));
            let service = Hyper {
                live: Arc::new(live),
                client: Client {
                    peer: "".into(),
                    watch: Arc::default(),
                    stop: watch::channel(false).1,
                    drain: Duration::ZERO,
                    held: Arc::new(()),
                },
                from: Peer::new(([127, 0, 0, 1], 1).into(), true, &Forwarding::default()),
                certificates: PeerCertificates::verified(&chain),
                watch: Arc::default(),
            };
            for _ in 0..2 {
                let request = Request::new(String::new());
                let response = hyper::service::Service::call(&service, request).await.unwrap();
                assert_eq!(response.status(), want);
            }
        }
    }
}
