//! What the service manager is told (sd_notify(3)): that the process is ready, reloads, stops, and is alive. Nothing where
//! there is none, which is where `NOTIFY_SOCKET` is not set.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tracing::debug;

/// The process serves.
pub fn ready() {
    tell(&format!("READY=1\nMAINPID={}\n", std::process::id()));
}

/// The process loads everything again; it is over once it is [`ready`] again.
pub fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
}

/// The process drains.
pub fn stopping() {
    tell("STOPPING=1\n");
}

/// The process is not stuck.
pub fn alive() {
    tell("WATCHDOG=1\n");
}

/// Another process is the main one from now on.
pub(super) fn main_pid(pid: i32) {
    tell(&format!("MAINPID={pid}\n"));
}

/// How often the service manager wants to hear that the process is alive: at least once in this time
/// (sd_watchdog_enabled(3)).
#[must_use]
pub fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    // It may be meant for a process that has started this one.
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|micros| *micros > 0).map(Duration::from_micros)
}

fn tell(text: &str) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = address_of(address.as_encoded_bytes()).and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.send_to_addr(text.as_bytes(), &address)
    });
    if let Err(error) = sent {
        debug!(%error, "the service manager can't be told");
    }
}

/// A path, or a name in the abstract namespace after an `@`.
fn address_of(text: &[u8]) -> std::io::Result<SocketAddr> {
    match text.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(std::path::Path::new(std::ffi::OsStr::new(
            std::str::from_utf8(text)
                .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?,
        ))),
    }
}
