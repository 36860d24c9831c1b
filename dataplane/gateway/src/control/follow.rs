//! Answers that come row by row: traces, captures, pings.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use gridway_control::{
    CapturePoint, CapturedPacket, End, Failure, FailureKind, PacketFilter, Reply, Request,
};
use gridway_forwarding::flow;
use rustix::net::{RecvFlags, recv};

use super::attend::send;
use super::pings;
use super::steps::{Names, side};
use crate::hex::hex;
use crate::node::Node;
use crate::watch::{Filter, PAUSE, QUEUE, Seen, Wants};

/// Longest time that packets are watched.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Longest IP packet.
const LONGEST_PACKET: u32 = 65_535;

/// Sends the rows of the answer to `request`; gives what stands behind them.
pub(super) fn follow(node: &Arc<Node>, stream: &mut UnixStream, request: &Request) -> io::Result<Reply> {
    match request {
        Request::Trace { filter, count, wait_ms } => {
            watch(node, stream, Wants::Steps, filter, *count, *wait_ms)
        }
        Request::Capture { point, filter, count, wait_ms, snap } => {
            let wants = Wants::Bytes { at: *point, snap: (*snap).min(LONGEST_PACKET) as usize };
            watch(node, stream, wants, filter, *count, *wait_ms)
        }
        Request::Ping { vnet, address, count, interval_ms } => {
            pings::ping(node, stream, vnet, *address, *count, Duration::from_millis(*interval_ms))
        }
        _ => unreachable!("only these have answers that come row by row"),
    }
}

fn watch(
    node: &Arc<Node>,
    stream: &mut UnixStream,
    wants: Wants,
    filter: &PacketFilter,
    count: u64,
    wait_ms: u64,
) -> io::Result<Reply> {
    let filter = match compile(node, filter) {
        Ok(filter) => filter,
        Err(failure) => return Ok(Reply::Error(failure)),
    };
    let Some(watching) = node.watch.begin(wants, filter, count) else {
        let busy = "as many traces and captures as there may be are under way";
        return Ok(Reply::Error(Failure::new(FailureKind::Busy, busy)));
    };
    let watcher = &watching.watcher;
    let until = node.clock.now() + Duration::from_millis(wait_ms).min(LONGEST);
    let mut names = Names::of(node);
    let mut rows = 0;
    loop {
        // Looked at first: what comes after it comes too late.
        let over = node.clock.now() >= until || node.is_stopping();
        // No more at once than the queue holds: it may fill as fast as it is emptied.
        for seen in std::iter::from_fn(|| watcher.next()).take(QUEUE) {
            rows += 1;
            send(stream, &row(node, &names, wants, &seen))?;
        }
        if over || watcher.is_satisfied(rows) {
            return Ok(Reply::End(End { rows, missed: watcher.missed() }));
        }
        if has_gone(stream) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        std::thread::sleep(PAUSE);
        names.follow(node);
    }
}

/// Whether the client has closed its connection, or asks something else.
pub(super) fn has_gone(stream: &UnixStream) -> bool {
    match recv(stream, &mut [0_u8; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok(_) => true,
        Err(error) => error != rustix::io::Errno::AGAIN,
    }
}

fn compile(node: &Node, filter: &PacketFilter) -> Result<Filter, Failure> {
    let unknown =
        |what: &str, name: &str| Failure::new(FailureKind::NotFound, format!("there is no {what} {name}"));
    let vnet = match &filter.vnet {
        Some(name) => Some(node.vnet_named(name).ok_or_else(|| unknown("vnet", name))?),
        None => None,
    };
    let peer = match &filter.peer {
        Some(name) => Some(node.book.find(name).ok_or_else(|| unknown("peer", name))?.0),
        None => None,
    };
    if let Some(reason) = &filter.dropped
        && reason != PacketFilter::ANY_REASON
        && !gridway_forwarding::DropReason::all().any(|known| known.name() == reason)
    {
        return Err(unknown("drop reason", reason));
    }
    let from = filter.from.map(|from| match from {
        gridway_control::Side::Local => flow::Side::Local,
        gridway_control::Side::Overlay => flow::Side::Overlay,
    });
    Ok(Filter { from, vnet, peer, packet: filter.clone() })
}

fn row(node: &Node, names: &Names, wants: Wants, seen: &Seen) -> Reply {
    match wants {
        Wants::Steps => Reply::Trace(Box::new(names.trace(node, seen))),
        Wants::Bytes { at, .. } => Reply::Captured(CapturedPacket {
            at_us: node.clock.unix_us(seen.at),
            worker: seen.worker as u32,
            from: side(seen.from),
            comment: comment(names, at, seen),
            length: seen.length as u32,
            bytes: hex(&seen.bytes),
        }),
    }
}

/// What became of a captured packet.
fn comment(names: &Names, at: CapturePoint, seen: &Seen) -> String {
    let mut comment = seen.verdict.name().to_owned();
    if let Some(reason) = seen.verdict.reason() {
        comment = format!("{comment}: {}", reason.name());
    }
    if let Some(peer) = seen.peer {
        let direction = if seen.from == flow::Side::Local { "to" } else { "from" };
        comment = format!("{comment}, {direction} {}", names.peer(peer));
    }
    if let Some(onward) = seen.onward {
        comment = format!("{comment}, on to {}", names.peer(onward));
    }
    if let Some(vnet) = seen.vnet {
        comment = format!("{comment}, vnet {}", names.vnet(vnet));
    }
    // What it is at the other point: half of what one wants to know of a translated packet.
    let as_it_came = (at == CapturePoint::Local) == (seen.from == flow::Side::Local);
    let other = if as_it_came { seen.translated } else { seen.tuple };
    match other {
        Some(other) if seen.translated.is_some() => {
            let name = if at == CapturePoint::Local { "virtual" } else { "local" };
            format!("{comment}, {name} {other}")
        }
        _ => comment,
    }
}
