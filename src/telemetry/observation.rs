//! What is known of one call, gathered on its way and told at its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, Method, Uri};

use super::access_log::AccessLog;
use super::metrics::{CallStats, Metrics, Open};
use super::served::ServedBy;
use crate::fault::{Code, Fault, Origin};

/// Where observations are told.
pub struct Observer {
    pub metrics: Arc<Metrics>,
    pub access_log: Option<Arc<AccessLog>>,
}

/// How many tries were made of a call to a backend, as the request's extensions carry it to where they are made. There
/// only where somebody is told of it.
#[derive(Debug, Clone)]
pub struct Attempts(pub Arc<AtomicU32>);

/// One call. Told when it is dropped, whatever the reason.
pub struct Observation {
    observer: Arc<Observer>,
    started: Instant,
    method: Method,
    uri: Uri,
    peer: Option<Arc<str>>,
    client: Option<IpAddr>,
    request_id: HeaderValue,
    protocol: &'static str,
    rpc: Option<(Arc<CallStats>, ServedBy)>,
    caller: Option<Box<str>>,
    /// 0 or 1 where it was not tried again.
    attempts: Option<Arc<AtomicU32>>,
    status: u16,
    code: Option<Code>,
    fault: Option<FaultFacts>,
    sent: u64,
    complete: bool,
    _open: Open,
}

/// What a log says of a fault.
pub struct FaultFacts {
    pub reason: &'static str,
    pub origin: Origin,
    /// The rule that decided.
    pub rule: Option<Arc<str>>,
    pub cause: Option<String>,
}

/// What is told of a call at its end.
pub struct Outcome<'a> {
    /// When it ended.
    pub at: SystemTime,
    pub method: &'a str,
    /// Without the query, which may hold secrets.
    pub path: &'a str,
    /// The HTTP status; 499 where the client left before there was one.
    pub status: u16,
    /// None for OK.
    pub code: Option<Code>,
    /// `package.Service/Method`, once it was known.
    pub rpc: Option<&'a str>,
    pub upstream: Option<&'a str>,
    /// Who vouches for the caller: the name of an issuer, or the kind of another credential.
    pub caller: Option<&'a str>,
    /// The client's protocol.
    pub protocol: &'static str,
    pub fault: Option<&'a FaultFacts>,
    /// How often it was tried at a backend, where that is more than once.
    pub attempts: Option<u32>,
    pub took: Duration,
    /// Bytes of the answer's body that were handed to the connection.
    pub sent: u64,
    /// Whether all of the answer was.
    pub complete: bool,
    /// Address and port of the connection's other end.
    pub peer: Option<&'a str>,
    /// The client's address, as far as trusted proxies tell it.
    pub client: Option<IpAddr>,
    pub request_id: &'a str,
}

impl Observation {
    #[must_use]
    pub fn begin(
        observer: Arc<Observer>,
        method: Method,
        uri: Uri,
        peer: Option<Arc<str>>,
        client: Option<IpAddr>,
        request_id: HeaderValue,
    ) -> Self {
        Self {
            _open: observer.metrics.request(),
            observer,
            started: Instant::now(),
            method,
            uri,
            peer,
            client,
            request_id,
            protocol: "",
            rpc: None,
            caller: None,
            attempts: None,
            status: 499,
            code: Some(Code::Cancelled),
            fault: None,
            sent: 0,
            complete: false,
        }
    }

    #[must_use]
    pub fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// It is known which protocol the client speaks.
    pub fn speaks(&mut self, protocol: &'static str) {
        self.protocol = protocol;
    }

    /// It is known which RPC the call is, and which upstream serves it.
    pub fn is_of(&mut self, rpc: Arc<CallStats>, upstream: ServedBy) {
        self.rpc = Some((rpc, upstream));
    }

    /// It is known who vouches for the caller.
    pub fn is_by(&mut self, source: &str) {
        if self.observer.access_log.is_some() {
            self.caller = Some(source.into());
        }
    }

    /// What its tries are counted in, where somebody is told of them.
    pub fn attempts(&mut self) -> Option<Attempts> {
        self.observer.access_log.as_ref()?;
        let attempts = self.attempts.get_or_insert_with(Arc::default);
        Some(Attempts(Arc::clone(attempts)))
    }

    /// The call has an answer, though not all of it is sent.
    pub fn answered(&mut self, status: u16, fault: Option<&Fault>) {
        self.status = status;
        self.code = None;
        if let Some(fault) = fault {
            self.failed(fault);
        }
    }

    /// The call failed, perhaps when its status was sent already.
    pub fn failed(&mut self, fault: &Fault) {
        self.code = Some(fault.code());
        self.fault = Some(FaultFacts {
            reason: fault.reason(),
            origin: fault.origin(),
            rule: fault.rule().cloned(),
            cause: fault.cause().map(ToString::to_string),
        });
    }

    /// So many bytes of the body were handed to the connection.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Nothing of the answer is left.
    pub fn completed(&mut self) {
        self.complete = true;
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        // An answer that could not be finished has its own code; one that nobody took to its end was cancelled.
        let code = if self.complete || self.fault.is_some() { self.code } else { Some(Code::Cancelled) };
        match &self.rpc {
            Some((stats, upstream)) => {
                stats.record(code, took);
                if let (ServedBy::OneOf { .. }, Some(name)) = (upstream, upstream.name()) {
                    self.observer.metrics.split(stats.counted(), name, code);
                }
            }
            None => self.observer.metrics.unrouted(code),
        }
        if let Some(fault) = &self.fault {
            self.observer.metrics.fault(fault.reason, fault.origin);
            if let Some(rule) = &fault.rule {
                self.observer.metrics.decided(rule, fault.reason);
            }
        }
        if let Some(log) = &self.observer.access_log {
            log.write(&Outcome {
                at: SystemTime::now(),
                method: self.method.as_str(),
                path: self.uri.path(),
                status: self.status,
                code,
                rpc: self.rpc.as_ref().map(|(stats, _)| stats.rpc()),
                upstream: self.rpc.as_ref().and_then(|(_, upstream)| upstream.name()),
                caller: self.caller.as_deref(),
                protocol: self.protocol,
                fault: self.fault.as_ref(),
                attempts: self
                    .attempts
                    .as_ref()
                    .map(|attempts| attempts.load(Ordering::Relaxed))
                    .filter(|attempts| *attempts > 1),
                took,
                sent: self.sent,
                complete: self.complete,
                peer: self.peer.as_deref(),
                client: self.client,
                request_id: self.request_id.to_str().unwrap_or_default(),
            });
        }
    }
}
