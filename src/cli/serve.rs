//! `transom serve`: starts, says what it serves and how to try it, and ends in good order.

use std::pin::pin;
use std::process::{Command, ExitCode};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, interval};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use super::report;
use crate::config::Settings;
use crate::problem::Problems;
use crate::server::{Inherited, Pulse, Running, notify, start_with};

/// Serves until SIGTERM or SIGINT.
#[must_use]
pub fn run(settings: Settings, warnings: Problems) -> ExitCode {
    report::print(&warnings);
    start_logging();
    let (inherited, warnings) = Inherited::from_service_manager();
    report::print(&warnings);
    match start_with(&settings, inherited) {
        Ok((running, warnings)) => {
            report::print(&warnings);
            announce(&running, &settings);
            notify::ready();
            wait_for_the_end(running, settings.handover.is_some());
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

/// Why the process ends.
enum End {
    Told,
    /// Another process serves.
    Replaced,
}

/// Serves until SIGTERM or SIGINT, or until another process has taken over, and drains then; a further signal cuts that
/// short. SIGHUP loads everything again, SIGUSR2 starts another process that takes over.
fn wait_for_the_end(running: Running, can_be_replaced: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // Without signals the process can only be killed, but it can serve.
    let Ok(runtime) = runtime else {
        loop {
            std::thread::park();
        }
    };
    runtime.block_on(async {
        let kinds = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
            SignalKind::user_defined2(),
        ];
        let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup), Ok(mut replace)] = kinds.map(signal)
        else {
            return std::future::pending().await;
        };
        let mut heart = notify::watchdog().map(|every| interval(every / 2));
        let mut pulse: Option<Pulse> = None;
        let mut replaced = pin!(running.replaced());
        let end = loop {
            tokio::select! {
                _ = terminate.recv() => break End::Told,
                _ = interrupt.recv() => break End::Told,
                () = &mut replaced => break End::Replaced,
                _ = hangup.recv() => {
                    notify::reloading();
                    running.reload();
                    notify::ready();
                }
                _ = replace.recv() => start_another(can_be_replaced),
                () = beat(&mut heart) => {
                    // Of workers that are stuck it says nothing, and the service manager begins anew.
                    if pulse.replace(running.pulse()).is_none_or(|pulse| pulse.all_answered()) {
                        notify::alive();
                    }
                }
            }
        };
        let cutter = running.cutter();
        let mut drained = tokio::task::spawn_blocking(move || match end {
            End::Told => {
                notify::stopping();
                running.stop();
            }
            End::Replaced => running.leave(),
        });
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

/// Ready when it is time to say that the process is alive.
async fn beat(heart: &mut Option<Interval>) {
    match heart {
        Some(heart) => drop(heart.tick().await),
        None => std::future::pending().await,
    }
}

/// Starts the program that is installed now as this one was started. It takes over by itself.
fn start_another(can_be_replaced: bool) {
    if !can_be_replaced {
        warn!("no process is started to take over: there is no `handover`");
        return;
    }
    let mut words = std::env::args_os();
    let Some(program) = words.next() else { return };
    // What is meant for a process of this number is not meant for another one.
    match Command::new(program).args(words).env_remove("WATCHDOG_PID").spawn() {
        Ok(mut child) => {
            info!(pid = child.id(), "started a process that takes over");
            std::thread::spawn(move || {
                // Where all goes well this process ends first.
                if let Ok(status) = child.wait() {
                    warn!(%status, "the process that was to take over has ended");
                }
            });
        }
        Err(error) => error!(%error, "the process that is to take over can't be started"),
    }
}
