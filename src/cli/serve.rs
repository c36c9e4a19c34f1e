//! `transom serve`: starts, says what it serves and how to try it, and ends in good order.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
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
            wait_for_the_end(&running);
            running.stop();
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

/// Returns on SIGTERM or SIGINT; SIGHUP loads the schema again.
fn wait_for_the_end(running: &Running) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
            match kinds.map(signal) {
                [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] => loop {
                    tokio::select! {
                        _ = terminate.recv() => return,
                        _ = interrupt.recv() => return,
                        _ = hangup.recv() => running.reload(),
                    }
                },
                // Without signals the process can only be killed, but it can serve.
                _ => std::future::pending().await,
            }
        }),
        Err(_) => loop {
            std::thread::park();
        },
    }
}
