//! The access log: one line a call.
//!
//! Lines are gathered by each thread and handed, many at a time, to one thread that writes, so that a slow disk or a
//! stalled pipe never holds up a call. Lines that this thread can't keep up with are dropped and counted.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::Outcome;
use super::metrics::Metrics;
use super::settings::{AccessLogFormat, AccessLogSettings, AccessLogTarget};
use crate::fault::Code;

/// A thread's lines are handed over when there are this many bytes of them, …
const BATCH: usize = 32 << 10;
/// … or this long after the first of them.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Batches that wait for the writer, at most.
const QUEUE: usize = 256;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static FILLED: RefCell<Option<Arc<Notify>>> = const { RefCell::new(None) };
}

/// The thread that writes, and the way to it.
struct Writer {
    batches: SyncSender<Vec<u8>>,
    thread: JoinHandle<()>,
}

/// Where lines go.
pub struct AccessLog {
    format: AccessLogFormat,
    /// None once closed.
    writer: Mutex<Option<Writer>>,
    open: AtomicBool,
    metrics: Arc<Metrics>,
}

impl AccessLog {
    /// Opens the target and starts the thread that writes; `None` where the log is off.
    ///
    /// # Errors
    /// The file can't be opened, or the thread not started.
    pub fn open(settings: &AccessLogSettings, metrics: Arc<Metrics>) -> io::Result<Option<Self>> {
        let target: Box<dyn Write + Send> = match &settings.target {
            AccessLogTarget::Off => return Ok(None),
            AccessLogTarget::Stdout => Box::new(io::stdout()),
            AccessLogTarget::Stderr => Box::new(io::stderr()),
            AccessLogTarget::File(path) => {
                Box::new(std::fs::OpenOptions::new().create(true).append(true).open(path)?)
            }
        };
        let (send, batches) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(target, &batches))?;
        Ok(Some(Self {
            format: settings.format,
            writer: Mutex::new(Some(Writer { batches: send, thread })),
            open: AtomicBool::new(true),
            metrics,
        }))
    }

    /// Adds one line. It is written soon, not at once.
    pub fn write(&self, outcome: &Outcome<'_>) {
        if !self.open.load(Ordering::Relaxed) {
            return;
        }
        LINES.with_borrow_mut(|lines| {
            let first = lines.is_empty();
            match self.format {
                AccessLogFormat::Text => text_line(lines, outcome),
                AccessLogFormat::Json => json_line(lines, outcome),
            }
            let gathered = FILLED.with_borrow(|filled| match filled {
                Some(filled) if first => {
                    filled.notify_one();
                    true
                }
                Some(_) => true,
                None => false,
            });
            if !gathered || lines.len() >= BATCH {
                self.hand_over(lines);
            }
        });
    }

    fn hand_over(&self, lines: &mut Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        let batch = std::mem::replace(lines, Vec::with_capacity(BATCH + 1024));
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(writer) = writer.as_ref() else { return };
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
            writer.batches.try_send(batch)
        {
            self.metrics.access_log_dropped(memchr::memchr_iter(b'\n', &batch).count() as u64);
        }
    }

    /// Hands over what is left and waits until it is written. Each worker has flushed its own lines by then.
    pub fn close(&self) {
        flush_lines(self);
        self.open.store(false, Ordering::Relaxed);
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(Writer { batches, thread }) = writer {
            drop(batches);
            let _ = thread.join();
        }
    }
}

/// Hands over the lines that the calling thread has gathered.
pub fn flush_lines(log: &AccessLog) {
    LINES.with_borrow_mut(|lines| log.hand_over(lines));
}

/// Lets the calling thread gather lines, and hands them over in time for as long as the future is polled there.
pub async fn flush_when_idle(log: Arc<AccessLog>) {
    let gathering = Gathering(Arc::new(Notify::new()));
    FILLED.set(Some(Arc::clone(&gathering.0)));
    loop {
        gathering.0.notified().await;
        tokio::time::sleep(LONGEST_WAIT).await;
        flush_lines(&log);
    }
}

/// As long as it lives, the thread gathers lines; unless another one has taken that over.
struct Gathering(Arc<Notify>);

impl Drop for Gathering {
    fn drop(&mut self) {
        FILLED.with_borrow_mut(|filled| {
            if filled.as_ref().is_some_and(|filled| Arc::ptr_eq(filled, &self.0)) {
                *filled = None;
            }
        });
    }
}

fn write_all(mut target: Box<dyn Write + Send>, batches: &Receiver<Vec<u8>>) {
    for batch in batches {
        // A log that can't be written is no reason to stop serving; the next batch may fare better.
        let _ = target.write_all(&batch).and_then(|()| target.flush());
    }
}

/// `time=… status=200 code=OK method=GET path=… rpc=… …`, put together by hand: it is done for every call.
fn text_line(lines: &mut Vec<u8>, outcome: &Outcome<'_>) {
    lines.extend_from_slice(b"time=");
    push_time(lines, outcome.at);
    push_number(lines, " status=", u64::from(outcome.status));
    push_word(lines, " code=", outcome.code.map_or("OK", Code::name));
    push_word(lines, " method=", outcome.method);
    push_text(lines, " path=", outcome.path);
    push_word(lines, " protocol=", outcome.protocol);
    if let Some(rpc) = outcome.rpc {
        push_word(lines, " rpc=", rpc);
    }
    if let Some(upstream) = outcome.upstream {
        push_text(lines, " upstream=", upstream);
    }
    if let Some(caller) = outcome.caller {
        push_text(lines, " caller=", caller);
    }
    if let Some(fault) = outcome.fault {
        push_word(lines, " reason=", fault.reason);
        push_word(lines, " origin=", fault.origin.as_str());
        if let Some(rule) = &fault.rule {
            push_text(lines, " rule=", rule);
        }
        if let Some(cause) = &fault.cause {
            push_text(lines, " cause=", cause);
        }
    }
    if let Some(attempts) = outcome.attempts {
        push_number(lines, " attempts=", attempts.into());
    }
    push_number(lines, " us=", micros(outcome.took));
    push_number(lines, " sent=", outcome.sent);
    if !outcome.complete {
        push_word(lines, " aborted=", "true");
    }
    if let Some(peer) = outcome.peer {
        push_word(lines, " peer=", peer);
    }
    if let Some(client) = outcome.client {
        push_address(lines, " client=", client);
    }
    push_text(lines, " request_id=", outcome.request_id);
    lines.push(b'\n');
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// A value that has no need of quotes: one of ours, or checked before.
fn push_word(lines: &mut Vec<u8>, key: &str, value: &str) {
    lines.extend_from_slice(key.as_bytes());
    lines.extend_from_slice(value.as_bytes());
}

fn push_number(lines: &mut Vec<u8>, key: &str, value: u64) {
    push_word(lines, key, itoa::Buffer::new().format(value));
}

fn push_address(lines: &mut Vec<u8>, key: &str, address: IpAddr) {
    match address {
        // Most are of this kind, and formatting is slow.
        IpAddr::V4(address) => {
            push_word(lines, key, "");
            for (index, octet) in address.octets().into_iter().enumerate() {
                push_number(lines, if index == 0 { "" } else { "." }, octet.into());
            }
        }
        IpAddr::V6(address) => push_word(lines, key, &address.to_string()),
    }
}

/// A value in quotes where it needs them, so that nothing from outside can forge a key or a line.
fn push_text(lines: &mut Vec<u8>, key: &str, value: &str) {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
    if !value.is_empty() && value.bytes().all(plain) {
        push_word(lines, key, value);
    } else {
        push_word(lines, key, &format!("{value:?}"));
    }
}

thread_local! {
    /// The last second that was printed, and its text.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// RFC 3339 with milliseconds, in UTC. The calendar is asked once a second.
fn push_time(lines: &mut Vec<u8>, at: SystemTime) {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() {
            *second = since.as_secs();
            *text = rfc3339(at);
        }
        // Up to the seconds: `1970-01-01T00:00:00`.
        lines.extend_from_slice(text.as_bytes().get(..19).unwrap_or_default());
    });
    let millis = since.subsec_millis();
    let digit = |value: u32| b'0' + u8::try_from(value % 10).unwrap_or(0);
    lines.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis), b'Z']);
}

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

fn json_line(lines: &mut Vec<u8>, outcome: &Outcome<'_>) {
    let mut line = serde_json::Map::new();
    let mut put = |key: &str, value: serde_json::Value| {
        line.insert(key.to_owned(), value);
    };
    put("time", rfc3339(outcome.at).into());
    put("status", outcome.status.into());
    put("code", outcome.code.map_or("OK", Code::name).into());
    put("method", outcome.method.into());
    put("path", outcome.path.into());
    put("protocol", outcome.protocol.into());
    if let Some(rpc) = outcome.rpc {
        put("rpc", rpc.into());
    }
    if let Some(upstream) = outcome.upstream {
        put("upstream", upstream.into());
    }
    if let Some(caller) = outcome.caller {
        put("caller", caller.into());
    }
    if let Some(fault) = outcome.fault {
        put("reason", fault.reason.into());
        put("origin", fault.origin.as_str().into());
        if let Some(rule) = &fault.rule {
            put("rule", (&**rule).into());
        }
        if let Some(cause) = &fault.cause {
            put("cause", cause.as_str().into());
        }
    }
    if let Some(attempts) = outcome.attempts {
        put("attempts", attempts.into());
    }
    put("us", micros(outcome.took).into());
    put("sent", outcome.sent.into());
    if !outcome.complete {
        put("aborted", true.into());
    }
    if let Some(peer) = outcome.peer {
        put("peer", peer.into());
    }
    if let Some(client) = outcome.client {
        put("client", client.to_string().into());
    }
    put("request_id", outcome.request_id.into());
    // Writing JSON to memory does not fail.
    let _ = serde_json::to_writer(&mut *lines, &line);
    lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Origin;
    use crate::telemetry::observation::FaultFacts;

    fn outcome<'a>(fault: Option<&'a FaultFacts>) -> Outcome<'a> {
        Outcome {
            at: SystemTime::UNIX_EPOCH,
            method: "GET",
            path: "/v1/a\" x=1",
            status: 404,
            code: Some(Code::NotFound),
            rpc: Some("a.B/C"),
            upstream: Some("u"),
            caller: None,
            protocol: "rest",
            fault,
            attempts: fault.map(|_| 3),
            took: Duration::from_micros(1500),
            sent: 12,
            complete: true,
            peer: Some("[::1]:2"),
            client: Some([192, 0, 2, 1].into()),
            request_id: "r",
        }
    }

    #[test]
    fn a_text_line_can_not_be_forged() {
        let fault = FaultFacts {
            reason: "BACKEND_STATUS",
            origin: Origin::Backend,
            rule: Some("a.B/* 5/s".into()),
            cause: Some("a\nb".into()),
        };
        let mut line = Vec::new();
        text_line(&mut line, &outcome(Some(&fault)));
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "time=1970-01-01T00:00:00.000Z status=404 code=NOT_FOUND method=GET path=\"/v1/a\\\" x=1\" protocol=rest \
             rpc=a.B/C upstream=u reason=BACKEND_STATUS origin=backend rule=\"a.B/* 5/s\" cause=\"a\\nb\" attempts=3 us=1500 sent=12 peer=[::1]:2 client=192.0.2.1 request_id=r\n"
        );
    }

    #[test]
    fn a_json_line_is_json() {
        let mut line = Vec::new();
        json_line(&mut line, &outcome(None));
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((&value["path"], &value["us"]), (&"/v1/a\" x=1".into(), &1500.into()));
    }

    #[test]
    fn lines_reach_the_file_when_the_log_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let settings =
            AccessLogSettings { target: AccessLogTarget::File(path.clone()), format: AccessLogFormat::Text };
        let log = AccessLog::open(&settings, Arc::new(Metrics::default())).unwrap().unwrap();
        log.write(&outcome(None));
        log.write(&outcome(None));
        log.close();
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 2);
    }
}
