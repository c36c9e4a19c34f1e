//! Streams that end in their middle: clients are told so, in whatever they speak.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;

use crate::backend::{MESSAGES, Manner};
use crate::process::Process;
use crate::report::{Report, millis};
use crate::site::{RETRIES, Site, main_of};
use crate::support::{Http1, Http2, frame, request};

/// Streams of each protocol in a round.
const STREAMS: usize = 40;

/// How streams ended for their clients.
#[derive(Default)]
struct Ends {
    whole: usize,
    /// A status, an error element, a reset, or a body that is visibly cut.
    errors: usize,
    /// As if there were no more, with messages missing.
    silent: usize,
}

impl Ends {
    fn count(&mut self, ends_well: bool, messages: usize) {
        match (ends_well, messages == MESSAGES) {
            (true, true) => self.whole += 1,
            (true, false) => self.silent += 1,
            (false, _) => self.errors += 1,
        }
    }

    fn rest(&mut self, address: SocketAddr) {
        let mut client = Http1::connect(address);
        client.send(request("GET", "/d?a=x", &[], b""));
        let Some(reply) = client.read(false) else { return self.count(false, 0) };
        let Ok(Value::Array(elements)) = serde_json::from_slice(&reply.body) else {
            return self.count(false, 0);
        };
        let has_error = elements.iter().any(|element| element.get("error").is_some());
        self.count(reply.status == 200 && !has_error, elements.len());
    }

    fn grpc(&mut self, client: &mut Http2) {
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        let (response, mut stream) = client.begin("POST", "/t.A/Down", &headers, false);
        // An answer that is an error may have closed the stream by now.
        let _ = stream.send_data(frame(b"\x0a\x01x").into(), true);
        let Ok(reply) = client.end(response) else { return self.count(false, 0) };
        let status = reply.trailers.get("grpc-status").or(reply.headers.get("grpc-status"));
        let messages = reply.body.len() / frame(b"\x0a\x01x\x10\x01").len();
        self.count(status.is_some_and(|status| status == "0"), messages);
    }

    fn round(&mut self, address: SocketAddr) {
        let mut client = Http2::connect(address);
        for _ in 0..STREAMS {
            self.rest(address);
            self.grpc(&mut client);
        }
    }
}

/// Every second stream is reset in its middle; then backends are killed under streams.
pub fn resets(report: &mut Report) {
    let mut backends = Process::three();
    let site =
        Site::start(&main_of(&backends, "balance: round_robin, ejection: { base: 300ms, max: 1s }"), RETRIES);
    site.load(|_| Ends::default().round(site.address));
    let before = site.held();
    let (load, (reset, killed, whole)) = site.load(|load| {
        backends.iter_mut().for_each(|backend| backend.tell(Manner::HalfReset));
        let mut reset = Ends::default();
        reset.round(site.address);
        backends.iter_mut().for_each(|backend| backend.tell(Manner::Good));
        let mut killed = Ends::default();
        let whole = std::thread::scope(|scope| {
            let streams = scope.spawn(|| killed.round(site.address));
            let mut longest = std::time::Duration::ZERO;
            while !streams.is_finished() {
                load.more(50);
                backends[0].kill();
                load.more(50);
                backends[0].restart();
                longest = longest.max(load.answered_by(1, Instant::now()));
            }
            longest
        });
        (reset, killed, whole)
    });
    load.assert_none_lost();
    for ends in [&reset, &killed] {
        assert_eq!((ends.silent, ends.whole + ends.errors), (0, 2 * STREAMS));
    }
    assert!(reset.errors > 0 && reset.whole > 0, "half of them are reset");
    let whole = format!(
        "of {0} streams with resets {1} ended with their error, {2} whole, none silently; of {0} under kills {3}, {4}, none; \
         {5}: the longest from a restart to its first answer",
        2 * STREAMS,
        reset.errors,
        reset.whole,
        killed.errors,
        killed.whole,
        millis(whole)
    );
    report.add("resets in mid-stream (beside: unary calls)", &site, &load, &whole, &before);
}
