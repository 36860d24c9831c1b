//! Packets that a machine busy elsewhere had no room for, or no time (early drops): all are counted, so what is lost
//! besides them is told apart.

use gridway_lab::gateway::Gateway;
use gridway_lab::{Iperf3, Lab, Namespace};

/// Packets without room so far: in the nodes' queues and rings, and in the UDP sockets of h2.
pub(crate) fn without_room(nodes: &[&Gateway], lab: &Lab) -> u64 {
    let of_node = |node: &Gateway| -> u64 {
        let drops = |reason| node.drops(reason).expect("a node answers");
        ["queue_full", "early_drop", "rx_ring_full", "rx_no_frame", "tx_full", "no_frame"]
            .map(drops)
            .iter()
            .sum()
    };
    nodes.iter().map(|node| of_node(node)).sum::<u64>() + in_sockets(lab.h2())
}

fn in_sockets(host: &Namespace) -> u64 {
    let text = host.run("nstat", ["-asz", "Udp*RcvbufErrors"]).expect("nstat runs").stdout;
    let errors = |name: &str| -> u64 {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        let count = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        count.expect("nstat knows the counter")
    };
    errors("UdpRcvbufErrors") + errors("Udp6RcvbufErrors")
}

/// Runs a UDP load from h1 and says how many of its datagrams were lost, but for want of room.
pub(crate) fn lost_on_the_way(nodes: &[&Gateway], lab: &Lab, load: &Iperf3) -> u64 {
    let before = without_room(nodes, lab);
    let report = load.run(lab.h1()).expect("iperf3 runs");
    let (lost, sent) = report.datagrams.expect("a UDP load");
    assert!(sent > 0, "{report:?}");
    lost.saturating_sub(without_room(nodes, lab) - before)
}
