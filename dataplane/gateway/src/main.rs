//! `gridway-dataplane`: forwards packets between the data NIC and the tunnels of one node.

mod arguments;
mod book;
mod checks;
mod clock;
mod control;
mod dialler;
mod doors;
mod handshakes;
mod held;
mod layout;
mod link;
mod neighbours;
mod node;
mod notify;
mod pool;
mod reload;
mod socket;
mod start;
mod watchdog;
mod worker;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use gridway_config::{Config, Log, LogFormat};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::arguments::Arguments;
use crate::node::Control;
use crate::notify::Notifier;
use crate::reload::IdentityWatch;
use crate::start::Running;
use crate::watchdog::Watchdog;

// The packet path does not allocate; handshakes and control do, and glibc's arenas grow with threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often signals, failures and changed certificates are looked for.
const LOOK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (config, warnings) = match Config::load_with_warnings(&arguments.config) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    log_to_stderr(config.log);
    reload::log_warnings(&warnings);
    match run(config, &arguments.config) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr(log: Log) {
    let level: tracing::Level =
        log.level.as_str().parse().expect("levels have the names that tracing gives them");
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    match log.format {
        LogFormat::Text => subscriber.with_target(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// Runs the node. True when it was told to end, false when a thread failed.
fn run(config: Config, file: &Path) -> Result<bool> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot handle signals")?;
    let mut watch = IdentityWatch::new(&config.identity);
    let socket = config.control.socket.clone();
    let mut running = start::start(config)?;
    running.doors.follow(&running.node);
    announce(&running);
    let notifier = Notifier::new();
    notifier.tell(NotifyState::Ready);
    let mut watchdog = Watchdog::new(sd_notify::watchdog_enabled(), Instant::now());
    let told = 'wait: loop {
        std::thread::sleep(LOOK);
        for signal in signals.pending() {
            match signal {
                SIGHUP => {
                    notifier.tell(NotifyState::Reloading);
                    reload::reload(&running.node, file, &mut running.registry);
                    running.doors.follow(&running.node);
                    notifier.tell(NotifyState::Ready);
                }
                _ => break 'wait true,
            }
        }
        if running.node.stopping.load(Ordering::Acquire) {
            break false;
        }
        watchdog.look(&running.node, &notifier, Instant::now());
        watch.check(&running.node);
        running.doors.follow(&running.node);
        running.node.free_retired();
    };
    notifier.tell(NotifyState::Stopping);
    stop(running);
    start::remove_socket(&socket);
    Ok(told)
}

fn announce(running: &Running) {
    let node = &running.node;
    let config = node.config.load();
    if let Some(data) = &node.data {
        tracing::info!(
            interface = data.interface,
            xdp = data.attach_mode,
            rings = data.ring_mode,
            pages = data.pages,
            mtu = data.mtu,
            queues = data.queues,
            "data NIC open"
        );
    }
    for (index, worker) in node.workers.iter().enumerate() {
        let (data, tunnels) = (worker.has_queues, worker.has_tunnels);
        tracing::info!(worker = index, cpu = worker.cpu, data, tunnels, "worker");
    }
    tracing::info!(node = %config.node.name, peers = config.peers.len(), vnets = config.vnets.len(), "ready");
}

/// Ends all threads in order: tunnels say good-bye, frames come home, neighbours are given back.
fn stop(running: Running) {
    tracing::info!("stopping");
    let Running { node, workers, others, handshake_waker, .. } = running;
    node.tell_all(|| Control::Stop);
    node.stopping.store(true, Ordering::Release);
    drop(handshake_waker.wake());
    for thread in workers.into_iter().chain(others) {
        // A thread that panicked has been reported.
        drop(thread.join());
    }
}
