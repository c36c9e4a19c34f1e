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
            announce(&running);
            wait_for_the_end();
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

fn announce(running: &Running) {
    let snapshot = running.snapshot();
    report::say(format_args!(
        "transom {} serves {} by {}",
        env!("CARGO_PKG_VERSION"),
        report::number(snapshot.methods(), "method"),
        report::number(snapshot.bindings(), "HTTP route"),
    ));
    for (name, address) in running.listeners() {
        report::say(format_args!("  listener {name}: http://{address}"));
    }
    if let Some(admin) = running.admin() {
        report::say(format_args!("  admin: http://{admin} (/healthz, /readyz, /metrics)"));
    }
    if let (Some((_, address)), Some(path)) = (running.listeners().first(), snapshot.example()) {
        report::say(format_args!("try it: curl 'http://{address}{path}'"));
    }
    report::say("`transom routes` prints every route");
}

/// Returns on SIGTERM or SIGINT.
fn wait_for_the_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
            match signals {
                (Ok(mut terminate), Ok(mut interrupt)) => {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                }
                // Without signals the process can only be killed, but it can serve.
                _ => std::future::pending().await,
            }
        }),
        Err(_) => loop {
            std::thread::park();
        },
    }
}
