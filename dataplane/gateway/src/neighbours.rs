//! The thread that follows the kernel's view of the data link.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gridway_control::Severity;
use gridway_forwarding::next_hop::{NextHops, Via};
use gridway_netlink::{NetlinkError, Snapshot, Watcher};
use gridway_wire::mac::MacAddr;
use ipnet::IpNet;

use crate::events::Kind;
use crate::node::Node;

/// How soon the end of the node is noticed.
const PATIENCE: Duration = Duration::from_millis(500);

/// Follows the kernel until the node stops, then takes back the neighbour entries that were asked for.
pub(crate) fn run(node: &Node, mut watcher: Watcher) -> io::Result<()> {
    let mut up = true;
    while !node.stopping.load(Ordering::Acquire) {
        match watcher.wait(PATIENCE) {
            Ok(false) => {}
            Ok(true) => {
                let snapshot = watcher.snapshot();
                publish(node, &snapshot);
                if std::mem::replace(&mut up, snapshot.up) != snapshot.up {
                    record_link(node, snapshot.up);
                }
            }
            Err(error) => {
                report(&error);
                std::thread::sleep(PATIENCE);
            }
        }
    }
    watcher.withdraw();
    Ok(())
}

fn record_link(node: &Node, up: bool) {
    let interface = node.data.as_ref().map_or("", |data| &data.interface);
    let (severity, kind, message) = match up {
        true => (Severity::Info, Kind::LinkUp, "the data NIC has carrier"),
        false => (
            Severity::Error,
            Kind::LinkDown,
            "the data NIC is down or has no carrier: local hosts are cut off",
        ),
    };
    node.events.record(severity, kind, interface, message);
}

fn report(error: &NetlinkError) {
    tracing::error!(%error, "cannot follow the kernel's routes and neighbours");
}

/// The packet path's form of a snapshot.
pub(crate) fn next_hops(snapshot: &Snapshot) -> NextHops {
    let routes = snapshot.routes.iter().map(|(prefix, metric, via)| {
        let via = match via {
            gridway_netlink::Via::OnLink => Via::OnLink,
            gridway_netlink::Via::Router(router) => Via::Router(*router),
            gridway_netlink::Via::Elsewhere => Via::Elsewhere,
        };
        (*prefix, *metric, via)
    });
    let neighbours = snapshot.neighbours.iter().map(|(address, mac)| (*address, MacAddr(*mac)));
    NextHops::new(routes, neighbours, snapshot.own.clone())
}

/// What the kernel must get as its own: the addresses of the data NIC, and the broadcast addresses of
/// the IPv4 prefixes they lie in.
pub(crate) fn own_addresses(snapshot: &Snapshot) -> Vec<IpAddr> {
    let broadcast = |(prefix, _, via): &(IpNet, u32, gridway_netlink::Via)| match (prefix, via) {
        (IpNet::V4(prefix), gridway_netlink::Via::OnLink)
            if prefix.prefix_len() < 31
                && snapshot.own.iter().any(|own| IpNet::V4(*prefix).contains(own)) =>
        {
            Some(IpAddr::V4(prefix.broadcast()))
        }
        _ => None,
    };
    snapshot.own.iter().copied().chain(snapshot.routes.iter().filter_map(broadcast)).collect()
}

fn publish(node: &Node, snapshot: &Snapshot) {
    let forwards = crate::doors::forwards(&node.plan.load());
    node.next_hops.store(Arc::new(next_hops(snapshot).with_forwards(forwards)));
    // Packets may wait for just this news.
    node.workers.iter().filter(|worker| worker.has_queues).for_each(crate::node::WorkerHandle::wake);
    let set = node.lock_steer().map(|mut steer| steer.set_own_addresses(&own_addresses(snapshot)));
    if let Some(Err(error)) = set {
        tracing::error!(%error, "the steering program does not know the data NIC's addresses");
    }
}
