//! Steady load by unary calls that may be made twice: REST over HTTP/1.1 and gRPC over HTTP/2, and what became of each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Http1, Http2, frame, request, until};

/// Clients of each protocol.
const CLIENTS: usize = 4;
/// Between two calls of a client.
const PAUSE: Duration = Duration::from_millis(3);
/// What a loaded machine may take beyond a deadline before a call counts as one that hung.
const SLACK: Duration = Duration::from_secs(4);

/// One call that has ended.
#[derive(Clone, Debug)]
struct Call {
    began: Instant,
    took: Duration,
    /// The number of the backend that answered, or how it failed.
    answer: Result<u8, String>,
}

/// The calls of a load so far.
pub struct Load {
    calls: Mutex<Vec<Call>>,
    deadline: Duration,
    is_over: AtomicBool,
}

impl Load {
    /// Calls `Get` of a service (by its letter) all the while that `act` lasts.
    pub fn during<T>(
        address: SocketAddr,
        service: char,
        deadline: Duration,
        act: impl FnOnce(&Self) -> T,
    ) -> (Self, T) {
        let load = Self { calls: Mutex::default(), deadline, is_over: AtomicBool::new(false) };
        let acted = thread::scope(|scope| {
            let over = Over(&load.is_over);
            for _ in 0..CLIENTS {
                scope.spawn(|| load.rest(address, service));
                scope.spawn(|| load.grpc(address, service));
            }
            let acted = act(&load);
            drop(over);
            acted
        });
        (load, acted)
    }

    fn rest(&self, address: SocketAddr, service: char) {
        let target = format!("/{}?a=x", service.to_ascii_lowercase());
        let mut client = Http1::connect(address);
        self.repeat(|| {
            let reply =
                client.try_send(request("GET", &target, &[], b"")).then(|| client.read(false)).flatten();
            let Some(reply) = reply else {
                client = Http1::connect(address);
                return Err("the connection was cut".to_owned());
            };
            let json = reply.json();
            match (reply.status, json["by"].as_u64().and_then(|by| u8::try_from(by).ok())) {
                (200, Some(by)) => Ok(by),
                _ => Err(format!("{} {}", reply.status, json["error"]["status"].as_str().unwrap_or("?"))),
            }
        });
    }

    fn grpc(&self, address: SocketAddr, service: char) {
        let path = format!("/t.{service}/Get");
        let timeout = format!("{}m", self.deadline.as_millis());
        let headers =
            [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", timeout.as_str())];
        let mut client = Http2::connect(address);
        self.repeat(|| {
            let (response, mut stream) = client.begin("POST", &path, &headers, false);
            // Who refuses by the head may have closed the stream by now; its answer says so.
            let _ = stream.send_data(frame(b"\x0a\x01x").into(), true);
            let reply = client.end(response).map_err(|error| error.to_string())?;
            let status = reply.trailers.get("grpc-status").or(reply.headers.get("grpc-status"));
            match status.and_then(|status| status.to_str().ok()) {
                // The frame's head, field 1, and the tag of field 2.
                Some("0") => reply.body.get(9).copied().ok_or("an empty answer".to_owned()),
                status => Err(format!("grpc-status {}", status.unwrap_or("missing"))),
            }
        });
    }

    fn repeat(&self, mut one: impl FnMut() -> Result<u8, String>) {
        while !self.is_over.load(Ordering::Relaxed) {
            let began = Instant::now();
            let answer = one();
            let call = Call { began, took: began.elapsed(), answer };
            self.calls.lock().expect("no panics").push(call);
            thread::sleep(PAUSE);
        }
    }

    /// Waits until a backend has answered a call that began after `since`, and says how long that took.
    pub fn answered_by(&self, by: u8, since: Instant) -> Duration {
        let find = || {
            let calls = self.calls.lock().expect("no panics");
            let answered = calls.iter().filter(|call| call.began > since && call.answer == Ok(by));
            answered.map(|call| call.began + call.took - since).min()
        };
        until("the backend takes calls", || find().is_some());
        find().expect("it was there")
    }

    /// Waits until so many more calls have ended.
    pub fn more(&self, calls: usize) {
        let before = self.calls();
        until("calls are made", || self.calls() >= before + calls);
    }

    pub fn calls(&self) -> usize {
        self.calls.lock().expect("no panics").len()
    }

    /// How many of the calls from this one on a backend answered, in percent.
    pub fn share(&self, by: u8, from: usize) -> usize {
        let calls = self.calls.lock().expect("no panics");
        let calls = calls.get(from..).unwrap_or_default();
        calls.iter().filter(|call| call.answer == Ok(by)).count() * 100 / calls.len().max(1)
    }

    /// Failed calls by kind.
    pub fn failures(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for call in &*self.calls.lock().expect("no panics") {
            if let Err(kind) = &call.answer {
                *kinds.entry(kind.clone()).or_default() += 1;
            }
        }
        kinds
    }

    pub fn longest(&self) -> Duration {
        self.calls.lock().expect("no panics").iter().map(|call| call.took).max().unwrap_or_default()
    }

    /// The median of the calls that began in this time, and what 99 % of them took at most.
    pub fn percentiles(&self, from: Instant, to: Instant) -> (Duration, Duration) {
        let calls = self.calls.lock().expect("no panics");
        let within = calls.iter().filter(|call| (from..to).contains(&call.began));
        let mut times: Vec<Duration> = within.map(|call| call.took).collect();
        times.sort_unstable();
        let at = |percent| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        (at(50), at(99))
    }

    /// No call has hung, that is, gone on well past its deadline.
    #[track_caller]
    pub fn assert_none_hung(&self) {
        let limit = self.deadline + SLACK;
        let calls = self.calls.lock().expect("no panics");
        let hung: Vec<_> = calls.iter().filter(|call| call.took > limit).collect();
        assert!(hung.is_empty(), "past their deadline: {hung:?}");
    }

    /// No call has failed either.
    #[track_caller]
    pub fn assert_none_lost(&self) {
        self.assert_none_hung();
        assert!(self.calls() > 0);
        assert_eq!(self.failures(), BTreeMap::new(), "of {} calls", self.calls());
    }
}

/// Ends the load, even where what it accompanies fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
