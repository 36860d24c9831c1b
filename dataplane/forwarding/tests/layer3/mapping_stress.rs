//! Port mappings under several workers that create and end the same flows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gridway_forwarding::{Counters, Forwarder, Inbound, Outbound, Shared};
use gridway_wire::generate::{Content, PacketSpec};

use crate::sharing::{REMOTE, SHARED, echo_from, kill_all, node, peer_of, udp_from};
use crate::support::{DATA_MTU, address, data_link, judged, packet};

#[test]
fn no_mapping_outlives_its_flows_and_none_serves_two_hosts() {
    const ROUNDS: usize = 100_000;
    let mut node = node();
    let vnet = node.vnet("corp");
    // Few endpoints, so that workers meet; their answers to whatever port is mapped at the moment.
    let mut packets: Vec<(&'static str, PacketSpec)> = Vec::new();
    for remote in REMOTE {
        for port in [40_000, 40_001] {
            packets.push((remote, udp_from(remote, (port, 53))));
            packets.push((remote, udp_from(remote, (port, 54))));
            packets.push((remote, echo_from(remote, port)));
        }
    }
    let peers: Vec<_> = packets.iter().map(|(_, spec)| node.peer(peer_of(spec))).collect();
    let done = AtomicBool::new(false);
    let work = |seed: u8| {
        let shared = Shared {
            flows: node.flows.clone(),
            fragments: node.fragments.clone(),
            peers: node.peers.clone(),
            monitors: node.monitors.clone(),
            pings: Arc::default(),
        };
        let counters = Arc::<Counters>::default();
        let mut worker = Forwarder::new(
            node.policy.clone(),
            Arc::new(data_link()),
            shared,
            counters,
            DATA_MTU,
            [seed; 32],
        );
        let mut random = u64::from(seed) * 0x9e37_79b9 + 1;
        for _ in 0..ROUNDS {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let index = random as usize % packets.len();
            let (remote, spec) = &packets[index];
            let mut bytes = spec.to_bytes();
            let verdict = worker.inbound(peers[index], vnet, &mut bytes, node.now);
            let Inbound::Deliver { .. } = verdict else { panic!("{verdict:?}") };
            let tuple = judged(&bytes).tuple;
            assert_eq!(tuple.source, address(SHARED));
            // The flow may have ended meanwhile: then nobody, or the next owner of the port, is meant.
            let content = Content::Udp { ports: (tuple.destination_port, tuple.source_port), checksum: true };
            let mut answer = packet("10.1.0.2", SHARED, content).to_bytes();
            if let Outbound::Tunnel { .. } = worker.outbound(&mut answer, node.now) {
                let to = judged(&answer).tuple.destination;
                assert!(REMOTE.iter().any(|remote| address(remote) == to), "{to} for {remote}");
            }
            while let Some(emission) = worker.emissions.pop() {
                worker.emissions.give_back(emission.bytes);
            }
        }
    };
    thread::scope(|scope| {
        let (work, node, done) = (&work, &node, &done);
        let workers: Vec<_> = [1, 2, 3].map(|seed| scope.spawn(move || work(seed))).into();
        let killer = scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                kill_all(node);
                assert!(node.flows.mappings().len() <= 3 * 4 + 3, "one for each endpoint at most");
                thread::yield_now();
            }
        });
        let ended: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(killer.join().is_ok() && ended.into_iter().all(|end| end.is_ok()));
    });
    let mut owners = HashMap::new();
    node.flows.for_each(|_, flow| {
        let (local, overlay) = (flow.local, flow.overlay);
        let place = (local.protocol, local.destination, local.destination_port);
        let owner = (overlay.source, overlay.source_port);
        assert_eq!(*owners.entry(place).or_insert(owner), owner, "{local} is of two hosts");
        true
    });
    kill_all(&node);
    assert!(node.flows.is_empty());
    assert!(node.flows.mappings().is_empty(), "{} are left", node.flows.mappings().len());
    assert_eq!(node.flows.mappings().in_use("172.16.2.1/32".parse().expect("a prefix")), 0);
}
