//! Asking the node again and again, on a thread of its own: a node that is silent does not stop the keys.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use gridway_control::{ConnectionRow, Counters, EventRow, Events, LimitRow, PeerRow, Reply, Request, Status};

use crate::error::CliError;
use crate::link::{Link, Target};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Updates that wait for the screen.
const AHEAD: usize = 4;

/// A look at the node.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) at: Instant,
    pub(super) status: Status,
    pub(super) peers: Vec<PeerRow>,
    pub(super) connections: Vec<ConnectionRow>,
    pub(super) counters: Counters,
    pub(super) limits: Vec<LimitRow>,
}

/// What a look brought.
pub(super) enum Update {
    /// The node, and what happened since the look before.
    Seen(Box<Snapshot>, Vec<EventRow>),
    /// The node cannot be reached.
    Gone(String),
}

/// Looks at the node until nobody takes the updates any more.
///
/// # Errors
/// If it cannot be reached the first time.
pub(super) fn begin(target: Target) -> Result<Receiver<Update>, CliError> {
    let link = target.connect()?;
    let (sender, receiver) = sync_channel(AHEAD);
    thread::spawn(move || look_again_and_again(&target, link, &sender));
    Ok(receiver)
}

fn look_again_and_again(target: &Target, link: Link, sender: &SyncSender<Update>) {
    let mut link = Some(link);
    let mut seen = SeenEvents::default();
    loop {
        let looked = match &mut link {
            Some(link) => look(link, &mut seen),
            None => target.connect().and_then(|again| look(link.insert(again), &mut seen)),
        };
        let update = match looked {
            Ok((snapshot, events)) => Update::Seen(Box::new(snapshot), events),
            Err(error) => {
                link = None;
                Update::Gone(error.to_string())
            }
        };
        if sender.send(update).is_err() {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// How far the events were seen.
#[derive(Default)]
struct SeenEvents {
    instance: String,
    last: u64,
}

fn look(link: &mut Link, seen: &mut SeenEvents) -> Result<(Snapshot, Vec<EventRow>), CliError> {
    let at = Instant::now();
    let Reply::Status(status) = link.ask(&Request::Status)? else { return Err(CliError::Unexpected) };
    let Reply::Peers(peers) = link.ask(&Request::Peers)? else { return Err(CliError::Unexpected) };
    let Reply::Connections(connections) = link.ask(&Request::Connections)? else {
        return Err(CliError::Unexpected);
    };
    let Reply::Counters(counters) = link.ask(&Request::Counters)? else { return Err(CliError::Unexpected) };
    let Reply::Limits(limits) = link.ask(&Request::Limits)? else { return Err(CliError::Unexpected) };
    let events = events(link, seen)?;
    let snapshot = Snapshot { at, status: *status, peers, connections, counters: *counters, limits };
    Ok((snapshot, events))
}

fn events(link: &mut Link, seen: &mut SeenEvents) -> Result<Vec<EventRow>, CliError> {
    let mut ask = |after| match link.ask(&Request::Events { after, wait_ms: 0 })? {
        Reply::Events(events) => Ok::<Events, CliError>(events),
        _ => Err(CliError::Unexpected),
    };
    let mut events = ask(seen.last)?;
    // A node that was restarted counts from 1 again.
    if events.instance != seen.instance && seen.last > 0 {
        events = ask(0)?;
    }
    *seen = SeenEvents { instance: events.instance, last: events.last };
    Ok(events.rows)
}
