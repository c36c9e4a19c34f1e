//! `transom serve`: starts, says what it serves and how to try it, and ends in good order.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;
use tracing_subscriber::EnvFilter;

use super::report;
use crate::config::Settings;
use crate::problem::Problems;
use crate::server::{Running, start};

/// Serves until SIGTERM or SIGINT.
#[must_use]
pub fn run(settings: Settings, warnings: Problems) -> ExitCode {
    report::print(&warnings);
    start_logging();
    match start(&settings) {
        Ok((running, warnings)) => {
            report::print(&warnings);
            announce(&running, &settings);
            wait_for_the_end(running);
            ExitCode::SUCCESS
        }
        Err(problems) => report::failed(&problems),
    }
}

/// What happens goes to stderr; `RUST_LOG` chooses how much of it.
fn start_logging() {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    // Someone who embeds the gateway may have set up logging before.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(report::colours())
        .try_init();
}

fn announce(running: &Running, settings: &Settings) {
    let snapshot = running.snapshot();
    report::say(format_args!(
        "transom {} serves {} by {}",
        env!("CARGO_PKG_VERSION"),
        report::number(snapshot.methods(), "method"),
        report::number(snapshot.bindings(), "HTTP route"),
    ));
    let schemes =
        settings.listeners.iter().map(|listener| if listener.tls.is_some() { "https" } else { "http" });
    let mut first = None;
    // They come in the order of the settings.
    for ((name, address), scheme) in running.listeners().iter().zip(schemes) {
        let url = format!("{scheme}://{address}");
        report::say(format_args!("  listener {name}: {url}"));
        first.get_or_insert(url);
    }
    if let Some(admin) = running.admin() {
        report::say(format_args!("  admin: http://{admin} (/healthz, /readyz, /metrics)"));
    }
    if let (Some(url), Some(path)) = (first, snapshot.example()) {
        report::say(format_args!("try it: curl '{url}{path}'"));
    }
    report::say("`transom routes` prints every route");
}

/// Serves until SIGTERM or SIGINT and drains then, which a second one cuts short. SIGHUP loads the schema again.
fn wait_for_the_end(running: Running) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // Without signals the process can only be killed, but it can serve.
    let Ok(runtime) = runtime else {
        loop {
            std::thread::park();
        }
    };
    runtime.block_on(async {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = kinds.map(signal) else {
            return std::future::pending().await;
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => running.reload(),
            }
        }
        let cutter = running.cutter();
        let mut drained = tokio::task::spawn_blocking(|| running.stop());
        tokio::select! {
            _ = &mut drained => return,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        warn!("told to stop once more: what is under way is cut off");
        cutter.cut();
        // A panic in there was printed already.
        let _ = drained.await;
    });
}
