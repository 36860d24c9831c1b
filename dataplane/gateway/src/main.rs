//! `gridway-dataplane`: forwards packets between the data NIC and the tunnels of one node.

mod arguments;
mod book;
mod change;
mod checks;
mod clock;
mod control;
mod dialler;
mod doors;
mod events;
mod flow_log;
mod flow_row;
mod handshakes;
mod health;
mod held;
mod hex;
mod layout;
mod link;
mod log;
mod neighbours;
mod node;
mod notify;
mod pool;
mod reload;
mod round_trips;
mod sleep_time;
mod socket;
mod start;
mod steering;
mod tcp_info;
mod watch;
mod watchdog;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use gridway_control::Severity;
use gridway_steer::AttachedMode;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::arguments::Arguments;
use crate::change::Opened;
use crate::events::Kind;
use crate::health::Health;
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
/// How long the flow log may take to end.
const FAREWELL: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The working directory of a service is not what its operator sees.
    let file = std::path::absolute(&arguments.config).unwrap_or(arguments.config);
    let opened = match change::open(&file) {
        Ok(opened) => opened,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    log::begin(opened.config.log);
    opened.log_warnings();
    match run(opened, file) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the node that `file` describes. True when it was told to end, false when a thread failed.
fn run(opened: Opened, file: PathBuf) -> Result<bool> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot handle signals")?;
    let mut watch = IdentityWatch::new(&opened.config.identity);
    let socket = opened.config.control.socket.clone();
    let mut running = start::start(opened, file)?;
    running.doors.follow(&running.node);
    announce(&running);
    let mut health = Health::new(&running.node);
    let notifier = Notifier::new();
    notifier.tell(NotifyState::Ready);
    let mut watchdog = Watchdog::new(sd_notify::watchdog_enabled(), Instant::now());
    let told = 'wait: loop {
        if let Ok(ask) = running.asks.recv_timeout(LOOK) {
            running.changes.handle(&running.node, ask);
        }
        for signal in signals.pending() {
            match signal {
                SIGHUP => {
                    notifier.tell(NotifyState::Reloading);
                    running.changes.reload(&running.node);
                    running.doors.follow(&running.node);
                    notifier.tell(NotifyState::Ready);
                }
                _ => break 'wait true,
            }
        }
        if running.node.stopping.load(Ordering::Acquire) {
            break false;
        }
        running.changes.handle_timeout(&running.node);
        watchdog.look(&running.node, &notifier, Instant::now());
        watch.check(&running.node);
        running.doors.follow(&running.node);
        running.node.free_retired();
        running.node.flows.prepare();
        health.look(&running.node);
    };
    notifier.tell(NotifyState::Stopping);
    stop(running, told);
    start::remove_socket(&socket);
    Ok(told)
}

fn announce(running: &Running) {
    let node = &running.node;
    let config = node.config.load();
    if let Some(data) = &node.data {
        let (interface, rings) = (&data.interface, &data.ring_mode);
        let (pages, mtu, queues) = (&data.pages, data.mtu, data.queues);
        let steering = node.attach_mode().map(AttachedMode::name);
        tracing::info!(interface, steering, rings, pages, mtu, queues, "data NIC open");
        steering::say_what_is_slow(node);
        if let Some(why) = &data.segments_alone {
            let message = format!("segments for local hosts go one by one: {why}");
            node.events.record(Severity::Warning, Kind::SegmentsAlone, interface, message);
        }
    }
    for (index, worker) in node.workers.iter().enumerate() {
        let (data, tunnels) = (worker.has_queues, worker.has_tunnels);
        tracing::info!(worker = index, cpu = worker.cpu, data, tunnels, "worker");
    }
    let message = format!(
        "ready: version {}, {} peers, {} vnets",
        env!("CARGO_PKG_VERSION"),
        config.peers.len(),
        config.vnets.len()
    );
    node.events.record(Severity::Info, Kind::NodeStarted, config.node.name.as_str(), message);
}

/// Ends all threads in order: tunnels say good-bye, frames come home, neighbours are given back.
fn stop(running: Running, told: bool) {
    let (severity, message) = match told {
        true => (Severity::Info, "stopping: told to end"),
        false => (Severity::Error, "stopping: a thread has failed, see the lines before"),
    };
    let name = &running.node.config.load().node.name;
    running.node.events.record(severity, Kind::NodeStops, name.as_str(), message);
    let Running { node, workers, others, flow_log, handshake_waker, .. } = running;
    node.tell_all(|| Control::Stop);
    node.stopping.store(true, Ordering::Release);
    drop(handshake_waker.wake());
    for thread in workers.into_iter().chain(others) {
        // A thread that panicked has been reported.
        drop(thread.join());
    }
    node.flow_log.finish();
    // A file system that hangs must not hang the node: its thread ends with the process.
    let patience = Instant::now() + FAREWELL;
    while !flow_log.is_finished() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
}
