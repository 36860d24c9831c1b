//! `gridway ping`: echo requests through the overlay.

use std::io;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use gridway_control::{End, Failure, FailureKind, Ping, Reply};
use gridway_forwarding::pings::Outcome;
use gridway_forwarding::policy::Choice;
use gridway_forwarding::{Tunnel, VnetId};
use gridway_wire::protocol::Protocol;
use gridway_wire::tuple::FiveTuple;

use super::attend::send;
use super::follow::has_gone;
use super::steps::Names;
use crate::node::{Control, Node};

/// Shortest time between two requests: nobody can make the node flood a site.
const SHORTEST: Duration = Duration::from_millis(10);
/// How long the reply to the last request is waited for, at least.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often is looked for a reply. The time that it took is measured where it arrives.
const LOOK: Duration = Duration::from_millis(1);

/// An identifier that is this ping's, for as long as it lives.
struct Identifier<'n> {
    node: &'n Node,
    number: u16,
}

impl Drop for Identifier<'_> {
    fn drop(&mut self) {
        self.node.pings.end(self.number);
    }
}

/// Sends the requests and a row for each; gives what stands behind them.
pub(super) fn ping(
    node: &Arc<Node>,
    stream: &mut UnixStream,
    vnet: &str,
    target: IpAddr,
    count: u32,
    interval: Duration,
) -> io::Result<Reply> {
    let refuse = |kind, message: String| Ok(Reply::Error(Failure::new(kind, message)));
    let (id, source) = {
        let policy = node.policy.load();
        let Some(found) = policy.vnet_named(vnet) else {
            return refuse(FailureKind::NotFound, format!("there is no vnet {vnet}"));
        };
        let Some(source) = found.address_like(target) else {
            let missing = format!("vnet {vnet} has no `address` of this node of the family of {target}");
            return refuse(FailureKind::BadRequest, missing);
        };
        if found.is_own(target) {
            return refuse(FailureKind::BadRequest, format!("{target} is this node itself"));
        }
        (found.id, source)
    };
    let Some(worker) = node.workers.iter().find(|worker| worker.has_queues) else {
        return refuse(FailureKind::BadRequest, "this node has no data NIC".to_owned());
    };
    let Some(number) = node.pings.begin(id, source, target, rand::random()) else {
        return refuse(FailureKind::Busy, "as many pings as there may be are under way".to_owned());
    };
    let identifier = Identifier { node, number };
    let (interval, mut names) = (interval.max(SHORTEST), Names::of(node));
    for sequence in 1..=count {
        let sent = node.clock.now();
        let mut row = Ping { sequence, round_trip_us: None, peer: None, error: None };
        match way(node, id, source, target) {
            Ok(to) => {
                names.follow(node);
                row.peer = Some(names.peer(to.peer).to_owned());
                // Sixteen bits of it are on the wire; the identifier is this ping's alone.
                worker.tell(Control::Ping(identifier.number, sequence as u16, to));
                let patience = if sequence == count { interval.max(PATIENCE) } else { interval };
                while node.clock.now().since(sent) < patience {
                    if let Some(outcome) = node.pings.take_outcome(identifier.number, sequence as u16) {
                        settle(&mut row, outcome);
                        break;
                    }
                    if has_gone(stream) || node.is_stopping() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    std::thread::sleep(LOOK);
                }
            }
            Err(reason) => row.error = Some(reason.to_owned()),
        }
        send(stream, &Reply::Ping(row))?;
        while sequence < count && node.clock.now().since(sent) < interval {
            if has_gone(stream) || node.is_stopping() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            std::thread::sleep(LOOK);
        }
    }
    Ok(Reply::End(End { rows: u64::from(count), missed: 0 }))
}

fn way(node: &Node, vnet: VnetId, source: IpAddr, target: IpAddr) -> Result<Tunnel, &'static str> {
    let policy = node.policy.load();
    let Some(found) = policy.vnet(vnet) else { return Err("the vnet is gone") };
    let protocol = if target.is_ipv4() { Protocol::ICMP } else { Protocol::ICMPV6 };
    let tuple = FiveTuple { source, destination: target, protocol, source_port: 0, destination_port: 0 };
    match found.routes.choose(&tuple, None, |route| node.peers.is_available(route)) {
        Choice::Peer(peer) => Ok(Tunnel { peer, vnet, spread: 0 }),
        Choice::AllDown => Err("no route is available"),
        Choice::NoRoute => Err("no route"),
    }
}

fn settle(row: &mut Ping, outcome: Outcome) {
    match outcome {
        Outcome::Replied(time) => {
            row.round_trip_us = Some(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
        Outcome::Refused { by, kind, code } => {
            row.error = Some(format!("{by} says: {}", icmp_in_words(by.is_ipv4(), kind, code)));
        }
    }
}

/// RFC 792 and 1812, RFC 4443.
fn icmp_in_words(is_v4: bool, kind: u8, code: u8) -> String {
    let words = match (is_v4, kind, code) {
        (true, 3, 0) => "net unreachable",
        (true, 3, 1) | (false, 1, 3) => "host unreachable",
        (true, 3, 6) => "net unknown",
        (true, 3, 7) => "host unknown",
        (true, 3, 9 | 10 | 13) | (false, 1, 1) => "administratively prohibited",
        (false, 1, 0) => "no route",
        (true, 11, _) | (false, 3, _) => "time exceeded",
        (true, 3, 4) | (false, 2, _) => "too big",
        _ => return format!("ICMP type {kind}, code {code}"),
    };
    words.to_owned()
}
