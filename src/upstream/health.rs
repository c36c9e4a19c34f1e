//! Active checks: each member of a cluster is asked by `grpc.health.v1.Health/Check` how it does, beside all calls, over a
//! connection of its own.
//!
//! The first answer decides; from then on it takes some in a row to change what is held of a member. One that serves no
//! health service has answered, so it is healthy.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Request, Uri};
use prost::Message;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::dial::{Purpose, Target};
use super::frame::{Deframer, finish_frame, start_frame};
use super::member::Member;
use super::members::Roster;
use super::resilience::HealthSettings;
use super::status::{self, Ending};
use super::timeout::put_timeout;
use crate::fault::Code;

const PATH: &str = "/grpc.health.v1.Health/Check";
/// More than an answer ever has.
const MAX_ANSWER: usize = 4 << 10;

/// Checks all members that a cluster has, until it is dropped.
pub(super) async fn check_all(roster: Weak<Roster>, settings: HealthSettings) {
    let settings = Arc::new(settings);
    let Some(mut changed) = roster.upgrade().map(|roster| roster.known()) else { return };
    let mut tasks = JoinSet::new();
    let mut known: HashMap<u64, AbortHandle> = HashMap::new();
    loop {
        let Some(set) = roster.upgrade().map(|roster| roster.load()) else { return };
        let mut gone = std::mem::take(&mut known);
        for peer in &set.peers {
            let id = peer.member.id();
            let task = gone.remove(&id).unwrap_or_else(|| {
                let check =
                    Check::new(Arc::clone(&peer.member), Arc::clone(&peer.target), Arc::clone(&settings));
                tasks.spawn(check.run())
            });
            known.insert(id, task);
        }
        drop(set);
        gone.into_values().for_each(|task| task.abort());
        while tasks.try_join_next().is_some() {}
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Serving,
    /// There is no health service to ask.
    Unimplemented,
    NotServing,
    /// There was no answer, or it makes no sense.
    Failed(String),
}

impl Found {
    fn is_healthy(&self) -> bool {
        match self {
            Self::Serving | Self::Unimplemented => true,
            Self::NotServing | Self::Failed(_) => false,
        }
    }

    /// As metrics name it: one of [`crate::telemetry::CHECK_RESULTS`].
    fn as_str(&self) -> &'static str {
        match self {
            Self::Serving | Self::Unimplemented => "healthy",
            Self::NotServing => "unhealthy",
            Self::Failed(_) => "failed",
        }
    }
}

/// What is held of a member, and how many checks in a row say otherwise.
#[derive(Debug)]
struct Thresholds {
    healthy: u32,
    unhealthy: u32,
    held: Option<bool>,
    against: u32,
}

impl Thresholds {
    fn new(settings: &HealthSettings) -> Self {
        Self { healthy: settings.healthy, unhealthy: settings.unhealthy, held: None, against: 0 }
    }

    /// Takes in a check; gives what is held from now on, where that is new.
    fn take(&mut self, is_healthy: bool) -> Option<bool> {
        if self.held == Some(is_healthy) {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = match self.held {
            None => 1,
            Some(true) => self.unhealthy,
            Some(false) => self.healthy,
        };
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.held = Some(is_healthy);
        self.held
    }
}

/// The checks of one member.
struct Check {
    member: Arc<Member>,
    target: Arc<Target>,
    settings: Arc<HealthSettings>,
    thresholds: Thresholds,
    connection: Option<Held>,
    has_warned: bool,
}

/// A connection that is kept from one check to the next.
struct Held {
    send: SendRequest<Bytes>,
    driver: AbortHandle,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Check {
    fn new(member: Arc<Member>, target: Arc<Target>, settings: Arc<HealthSettings>) -> Self {
        let thresholds = Thresholds::new(&settings);
        Self { member, target, settings, thresholds, connection: None, has_warned: false }
    }

    async fn run(mut self) {
        loop {
            let found = timeout(self.settings.timeout, self.ask())
                .await
                .unwrap_or_else(|_| Found::Failed("no answer in time".to_owned()));
            if matches!(found, Found::Failed(_)) {
                // Whatever is wrong with it, the next check begins anew.
                self.connection = None;
            }
            self.note(&found);
            // Not all members at once, nor all gateways.
            sleep(self.settings.interval.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        }
    }

    fn note(&mut self, found: &Found) {
        let (upstream, endpoint) = (&*self.target.upkeep.upstream, &self.target.endpoint.address);
        self.member.standing.checked(found.as_str());
        if *found == Found::Unimplemented && !std::mem::replace(&mut self.has_warned, true) {
            warn!(upstream, %endpoint, "a backend has no health service; it counts as healthy while it answers");
        }
        let Some(is_healthy) = self.thresholds.take(found.is_healthy()) else { return };
        if !self.member.standing.is_found(is_healthy) {
            return;
        }
        if is_healthy {
            info!(upstream, %endpoint, "endpoint healthy");
        } else {
            let why = match found {
                Found::Failed(why) => why,
                Found::Serving | Found::Unimplemented | Found::NotServing => "it says that it does not serve",
            };
            warn!(upstream, %endpoint, why, "endpoint unhealthy");
        }
    }

    async fn ask(&mut self) -> Found {
        match self.call().await {
            Ok(found) => found,
            Err(error) => Found::Failed(error.to_string()),
        }
    }

    async fn call(&mut self) -> Result<Found, Box<dyn std::error::Error + Send + Sync>> {
        let mut send = self.ready().await?;
        let (response, mut body) = send.send_request(self.request()?, false)?;
        let question = Question { service: self.settings.service.clone() };
        let mut frame = Vec::new();
        start_frame(&mut frame);
        question.encode(&mut frame)?;
        let frame = finish_frame(frame).map_err(|fault| fault.to_string())?;
        body.send_data(frame, true)?;
        let (head, mut stream) = response.await?.into_parts();
        if let Ending::Failed(fault) = status::ending(&head.headers) {
            return Ok(failed(fault.code(), fault.message()));
        }
        if let Some(fault) = status::foreign(head.status, &head.headers) {
            return Err(fault.message().to_owned().into());
        }
        let mut answer = BytesMut::new();
        while let Some(data) = poll_fn(|cx| stream.poll_data(cx)).await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            if answer.len() + data.len() > MAX_ANSWER {
                return Err("an answer that is too long".into());
            }
            answer.extend_from_slice(&data);
        }
        let trailers = poll_fn(|cx| stream.poll_trailers(cx)).await?;
        match status::ending(trailers.as_ref().unwrap_or(&head.headers)) {
            Ending::Ok => read(answer.freeze()),
            Ending::Failed(fault) => Ok(failed(fault.code(), fault.message())),
            Ending::Unsaid => Err("an answer without a status".into()),
        }
    }

    /// A connection that takes a call: the one that there is, or a new one.
    async fn ready(&mut self) -> Result<SendRequest<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        if let Some(held) = &self.connection
            && let Ok(send) = held.send.clone().ready().await
        {
            return Ok(send);
        }
        let dialled = self.target.connect(Purpose::Unary, None).await?;
        let driver = tokio::spawn(dialled.driver).abort_handle();
        let held = self.connection.insert(Held { send: dialled.send, driver });
        Ok(held.send.clone().ready().await?)
    }

    fn request(&self) -> Result<Request<()>, http::Error> {
        let scheme = if self.target.is_tls() { "https" } else { "http" };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(self.target.endpoint.authority.clone())
            .path_and_query(PATH)
            .build()?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        put_timeout(&mut headers, Instant::now().checked_add(self.settings.timeout));
        let mut request = Request::post(uri).version(http::Version::HTTP_2).body(())?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// A check that was answered by a status.
fn failed(code: Code, message: &str) -> Found {
    match code {
        Code::Unimplemented => Found::Unimplemented,
        Code::NotFound => Found::Failed("it does not know the service that is asked for".to_owned()),
        _ => Found::Failed(format!("{}: {message}", code.name())),
    }
}

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, Message)]
struct Question {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    /// 1 for SERVING.
    #[prost(int32, tag = "1")]
    status: i32,
}

fn read(data: Bytes) -> Result<Found, Box<dyn std::error::Error + Send + Sync>> {
    let mut deframer = Deframer::new(MAX_ANSWER, 0);
    deframer.push(data);
    let message = deframer.next_message().map_err(|bad| bad.of_backend().message().to_owned())?;
    let Some((_, message)) = message else { return Err("no answer in the answer".into()) };
    Ok(if Answer::decode(message)?.status == 1 { Found::Serving } else { Found::NotServing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_some_in_a_row_to_change_what_is_held() {
        let settings = HealthSettings { healthy: 2, unhealthy: 3, ..HealthSettings::default() };
        let mut thresholds = Thresholds::new(&settings);
        for (number, (is_healthy, want)) in [
            // The first one decides.
            (true, Some(true)),
            (false, None),
            (false, None),
            (true, None),
            (false, None),
            (false, None),
            (false, Some(false)),
            (false, None),
            (true, None),
            (false, None),
            (true, None),
            (true, Some(true)),
            (true, None),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(thresholds.take(is_healthy), want, "{number}");
        }
        assert_eq!(Thresholds::new(&settings).take(false), Some(false));
    }

    #[test]
    fn answers() {
        let framed = |message: &[u8]| {
            let mut frame = Vec::new();
            start_frame(&mut frame);
            frame.extend_from_slice(message);
            finish_frame(frame).unwrap()
        };
        assert_eq!(read(framed(&[8, 1])).unwrap(), Found::Serving);
        assert_eq!(read(framed(&[8, 2])).unwrap(), Found::NotServing);
        assert_eq!(read(framed(&[8, 3])).unwrap(), Found::NotServing);
        assert_eq!(read(framed(&[])).unwrap(), Found::NotServing);
        for bad in [&b""[..], &[0, 0], &[0, 0, 0, 0, 2, 8], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 1, 8]] {
            assert!(read(Bytes::copy_from_slice(bad)).is_err(), "{bad:?}");
        }
        assert_eq!(failed(Code::Unimplemented, ""), Found::Unimplemented);
        assert!(!failed(Code::NotFound, "").is_healthy());
    }
}
