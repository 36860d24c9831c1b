//! The flow table under several threads.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use gridway_config::FlowTimeouts;
use gridway_forwarding::flow::{Created, EndReason, Flow, FlowTable, Key, NewFlow, Side, Traits};
use gridway_forwarding::{PeerId, VnetId};
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::tuple::FiveTuple;

use crate::flow_table::{NOW, find, new_flow};

#[test]
fn threads_that_create_the_same_flow_at_once_share_one() {
    const THREADS: usize = 4;
    const FLOWS: u32 = 2_000;
    let table = FlowTable::new(65_536, [3, 4]);
    let barrier = Barrier::new(THREADS);
    let create_all = || {
        barrier.wait();
        let mut created = 0;
        let mut ids = Vec::new();
        for n in 0..FLOWS {
            let flow = match table.create(&new_flow(n, Protocol::UDP), &FlowTimeouts::default(), NOW) {
                Ok(Created::New(flow)) => {
                    created += 1;
                    flow
                }
                Ok(Created::Existing(flow)) => flow,
                other => panic!("{other:?}"),
            };
            ids.push(flow);
        }
        (created, ids)
    };
    let results: Vec<(u32, Vec<Flow>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(create_all)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect()
    });
    assert_eq!(results.iter().map(|(created, _)| created).sum::<u32>(), FLOWS);
    assert!(results.windows(2).all(|pair| pair[0].1 == pair[1].1), "every thread got the same flows");
    assert_eq!(table.len(), FLOWS as usize);
}

/// The n-th flow: every field follows from n, so that parts of two flows are recognised.
fn telltale(n: u16) -> NewFlow {
    let [high, low] = n.to_be_bytes();
    let tuple = |network: u8| FiveTuple {
        source: IpAddr::V4(Ipv4Addr::new(10, network, high, low)),
        destination: IpAddr::V4(Ipv4Addr::new(172, network, high, low)),
        protocol: Protocol::UDP,
        source_port: n,
        destination_port: !n,
    };
    NewFlow {
        vnet: VnetId(n),
        peer: PeerId(n),
        back: PeerId(n),
        epoch: u32::from(n),
        started_by: if n & 1 == 0 { Side::Local } else { Side::Overlay },
        traits: Traits::PLAIN,
        acl_line: u32::from(n),
        keys: [Key::local(&tuple(1)), Key::overlay(VnetId(n), &tuple(2))],
    }
}

fn is_whole(flow: &Flow, new: &NewFlow) -> bool {
    (flow.local(), flow.overlay(), flow.vnet, flow.started_by)
        == (new.keys[0].tuple(), new.keys[1].tuple(), new.vnet, new.started_by)
        // Written together when a flow is judged again.
        && u32::from(flow.peer.0) == flow.epoch & 0xffff
        && flow.peer == new.peer
}

/// Small and fast; the quality of the numbers does not matter.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn no_reader_ever_sees_parts_of_two_flows() {
    const KINDS: u64 = 48;
    // Fewer places than flows: every creation takes the place of another flow.
    let table = FlowTable::new(16, [5, 6]);
    let done = AtomicBool::new(false);
    let hits = AtomicU64::new(0);
    let write = |mut random: u64| {
        for _ in 0..150_000 {
            let n = (next(&mut random) % KINDS) as u16;
            let new = telltale(n);
            match table.create(&new, &FlowTimeouts::default(), NOW) {
                Ok(Created::New(flow) | Created::Evicting(flow) | Created::Existing(flow)) => {
                    assert!(is_whole(&flow, &new), "{flow:?}");
                    match next(&mut random) % 4 {
                        0 => table.remove(flow.id, EndReason::Killed),
                        1 => table.rejudged(flow.id, PeerId(n), PeerId(n), u32::from(n) | 1 << 16, None),
                        _ => table.touch(flow.id, Side::Local, 1, TcpFlags(0), NOW),
                    }
                }
                Err(full) => panic!("{full}: flows that saw one packet give way"),
            }
        }
    };
    let read = |mut random: u64| {
        while !done.load(Ordering::Relaxed) {
            let new = telltale((next(&mut random) % KINDS) as u16);
            for flow in find(&table, &new).into_iter().flatten() {
                assert!(is_whole(&flow, &new), "{flow:?}");
                hits.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        let (write, read) = (&write, &read);
        let writers: Vec<_> = [11, 12].map(|seed| scope.spawn(move || write(seed))).into();
        let readers: Vec<_> = [13, 14].map(|seed| scope.spawn(move || read(seed))).into();
        let ended: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ended.into_iter().chain(readers.into_iter().map(|r| r.join())).all(|end| end.is_ok()));
    });
    assert!(hits.load(Ordering::Relaxed) > 1_000, "the readers hardly found a flow");
    assert!(table.len() <= table.limit());
    // What is left must be found from both sides, each under an id of its own.
    let left: Vec<_> = (0..KINDS as u16).map(|n| find(&table, &telltale(n))).collect();
    assert!(left.iter().all(|[local, overlay]| local == overlay), "{left:?}");
    let ids: HashSet<_> = left.iter().flatten().flatten().map(|flow| flow.id.spread()).collect();
    assert_eq!(ids.len(), table.len());
}
