//! What the flow table writes down of beginnings and ends.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use gridway_config::FlowTimeouts;
use gridway_forwarding::flow::{
    Created, EndReason, Event, Flow, FlowTable, FlowView, Journal, Key, NewFlow, Record, Side,
};
use gridway_forwarding::{PeerId, VnetId};
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;
use proptest::prelude::*;

use crate::flow_table::{NOW, new_flow};
use crate::support::{ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, answer, tcp, udp};

fn records(journal: &Journal) -> Vec<Record> {
    std::iter::from_fn(|| journal.take()).collect()
}

fn events(table: &FlowTable) -> Vec<Event> {
    records(table.journal()).iter().map(|record| record.event).collect()
}

/// A node whose journal is on.
fn node(rest: &str) -> Node {
    let node = Node::new(rest);
    node.flows.journal().switch(true);
    node
}

fn corp() -> Node {
    node(&format!("{CORP_A}{ALLOW_ALL}"))
}

#[test]
fn a_journal_that_is_off_holds_nothing() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    node.send(&udp(HOST_A[0], HOST_B[2]));
    assert_eq!((events(&node.flows), node.flows.journal().dropped()), (vec![], 0));
    node.flows.journal().switch(true);
    node.wait(Duration::from_secs(301));
    node.flows.expire(&mut 0, 100, &node.policy.timeouts, node.now);
    assert_eq!(events(&node.flows), [Event::End(EndReason::Idle)], "it began before");
    node.flows.journal().switch(false);
    node.send(&udp(HOST_A[0], HOST_B[2]));
    assert_eq!(events(&node.flows), []);
}

#[test]
fn an_idle_flow_has_a_start_and_an_end_with_all_that_passed() {
    let mut node = corp();
    node.send(&udp(HOST_A[0], HOST_B[2]));
    let (began, live) = (node.now, node.only_flow());
    node.wait(Duration::from_secs(1));
    node.send(&udp(HOST_A[0], HOST_B[2]));
    node.receive("gw-b", &answer(&udp(HOST_A[1], HOST_B[1])));
    let last = node.now;
    node.wait(Duration::from_secs(301));
    node.flows.expire(&mut 0, 100, &node.policy.timeouts, node.now);
    let [start, end] = records(node.flows.journal()).try_into().expect("a start and an end");
    assert_eq!((start.event, end.event), (Event::Start, Event::End(EndReason::Idle)));
    assert_eq!(start.flow.traffic.map(|traffic| traffic.packets), [0, 0]);
    assert_eq!(end.flow.traffic.map(|traffic| traffic.packets), [2, 1]);
    assert_eq!((end.flow.created, end.flow.last_seen()), (began, last));
    assert_eq!(FlowView { traffic: live.traffic, ..end.flow }, live);
    assert_eq!((end.flow.acl_line, end.flow.peer), (10, node.peer("gw-b")));
}

#[test]
fn tcp_that_both_sides_ended_was_closed_and_one_that_fell_silent_idle() {
    for (ends, reason) in [
        ([TcpFlags::FIN, TcpFlags::FIN], EndReason::Closed),
        ([TcpFlags::RST, TcpFlags::ACK], EndReason::Closed),
        ([TcpFlags::ACK, TcpFlags::RST], EndReason::Closed),
        ([TcpFlags::FIN, TcpFlags::ACK], EndReason::Idle),
    ] {
        let mut node = corp();
        node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
        node.receive("gw-b", &answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::SYN | TcpFlags::ACK)));
        node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::ACK | ends[0]));
        node.receive("gw-b", &answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::ACK | ends[1])));
        node.wait(Duration::from_secs(8000));
        node.flows.expire(&mut 0, 100, &node.policy.timeouts, node.now);
        assert_eq!(events(&node.flows), [Event::Start, Event::End(reason)], "{ends:?}");
    }
}

#[test]
fn a_connection_with_the_ports_of_one_that_ended_is_a_flow_of_its_own() {
    let mut node = corp();
    node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
    node.receive("gw-b", &answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::RST)));
    node.wait(Duration::from_secs(1));
    node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
    let all = records(node.flows.journal());
    let seen: Vec<_> = all.iter().map(|record| record.event).collect();
    assert_eq!(seen, [Event::Start, Event::End(EndReason::Closed), Event::Start]);
    assert_eq!(all[1].flow.traffic.map(|traffic| traffic.packets), [1, 1]);
    assert_eq!(all[2].flow.created, node.now);
    let live = node.only_flow();
    assert_eq!((live.traffic.map(|traffic| traffic.packets), live.created), ([1, 0], node.now));
}

#[test]
fn a_flow_that_policy_ends_says_so() {
    let mut node = corp();
    node.send(&udp(HOST_A[0], HOST_B[2]));
    node.reload(CORP_A);
    node.refusal(&udp(HOST_A[0], HOST_B[2]));
    assert_eq!(events(&node.flows), [Event::Start, Event::End(EndReason::Policy)]);
}

#[test]
fn the_rule_that_allowed_a_flow_is_that_of_its_last_judgement() {
    let mut node = corp();
    node.send(&udp(HOST_A[0], HOST_B[2]));
    assert_eq!(node.only_flow().acl_line, 10);
    node.reload(&format!("{CORP_A}{}", ALLOW_ALL.replace("10", "4294967295")));
    node.send(&udp(HOST_A[0], HOST_B[2]));
    assert_eq!(node.only_flow().acl_line, u32::MAX);
}

#[test]
fn an_evicted_flow_and_a_replaced_one_say_so() {
    let table = FlowTable::new(1, [1, 2]);
    table.journal().switch(true);
    let (old, other) = (new_flow(1, Protocol::UDP), new_flow(2, Protocol::UDP));
    let create = |new| assert!(table.create(&new, &FlowTimeouts::default(), NOW).is_ok());
    create(old);
    create(NewFlow { keys: [old.keys[0], other.keys[1]], ..old });
    create(new_flow(3, Protocol::UDP));
    let ends = [EndReason::Replaced, EndReason::Evicted].map(Event::End);
    assert_eq!(events(&table), [Event::Start, ends[0], Event::Start, ends[1], Event::Start]);
}

#[test]
fn a_full_journal_drops_and_counts() {
    let table = FlowTable::new(64, [1, 2]).with_journal(4);
    table.journal().switch(true);
    for n in 0..10 {
        table.create(&new_flow(n, Protocol::UDP), &FlowTimeouts::default(), NOW).expect("there is room");
    }
    let journal = table.journal();
    assert_eq!((journal.len(), journal.limit(), journal.dropped()), (4, 4, 6));
    assert_eq!(records(journal).len(), 4);
    assert!(journal.is_empty());
}

/// What can happen to a table.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create { local: u8, overlay: u8 },
    Touch { overlay: u8, side: bool, flags: u8 },
    Restart { overlay: u8 },
    Kill { overlay: u8 },
    Expire { seconds: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..24_u8;
    prop_oneof![
        4 => (n.clone(), n.clone()).prop_map(|(local, overlay)| Step::Create { local, overlay }),
        4 => (n.clone(), any::<bool>(), any::<u8>())
            .prop_map(|(overlay, side, flags)| Step::Touch { overlay, side, flags }),
        1 => n.clone().prop_map(|overlay| Step::Restart { overlay }),
        1 => n.prop_map(|overlay| Step::Kill { overlay }),
        1 => (0..400_u16).prop_map(|seconds| Step::Expire { seconds }),
    ]
}

fn keys(local: u8, overlay: u8) -> [Key; 2] {
    let tuple = |network, n| FiveTuple {
        source: [10, network, 0, n].into(),
        destination: [10, network, 1, n].into(),
        protocol: Protocol::TCP,
        source_port: 1,
        destination_port: 2,
    };
    [Key::local(&tuple(1, local)), Key::overlay(VnetId(3), &tuple(2, overlay))]
}

/// Plays `steps`; gives how many flows were created and how many packets passed.
fn play(table: &FlowTable, steps: &[Step], now: &mut Nanos) -> (usize, u64) {
    let limits = FlowTimeouts::default();
    let found = |overlay| table.find(Side::Overlay, &keys(0, overlay)[1]);
    let (mut created, mut packets) = (0, 0);
    for step in steps {
        match *step {
            Step::Create { local, overlay } => {
                let new = NewFlow { keys: keys(local, overlay), ..new_flow(0, Protocol::TCP) };
                if let Ok(Created::New(_) | Created::Evicting(_)) = table.create(&new, &limits, *now) {
                    created += 1;
                }
            }
            Step::Touch { overlay, side, flags } => {
                let side = if side { Side::Local } else { Side::Overlay };
                if let Some(flow) = found(overlay) {
                    table.touch(flow.id, side, 40, TcpFlags(flags), *now);
                    packets += 1;
                }
            }
            Step::Restart { overlay } => {
                if let Some(flow) = found(overlay) {
                    table.restart(flow.id, Side::Local, 20, *now);
                    created += 1;
                }
            }
            Step::Kill { overlay } => {
                found(overlay).into_iter().for_each(|flow: Flow| table.remove(flow.id, EndReason::Killed));
            }
            Step::Expire { seconds } => {
                *now = *now + Duration::from_secs(seconds.into());
                table.expire(&mut 0, usize::MAX, &limits, *now);
            }
        }
    }
    (created, packets)
}

fn end_all(table: &FlowTable) {
    let mut ids = Vec::new();
    table.for_each(|id, _| {
        ids.push(id);
        true
    });
    ids.into_iter().for_each(|id| table.remove(id, EndReason::Stopped));
}

/// Every start is followed by the end of the same flow before that tuple starts again; gives the starts, and the
/// packets of all ends.
fn pair_up(records: &[Record]) -> (usize, u64) {
    let mut open = HashMap::new();
    let (mut starts, mut packets) = (0, 0);
    for Record { event, flow } in records {
        match event {
            Event::Start => {
                starts += 1;
                assert_eq!(open.insert(flow.overlay, flow.local), None, "{flow:?} began twice");
            }
            Event::End(_) => {
                packets += flow.traffic.iter().map(|traffic| traffic.packets).sum::<u64>();
                assert_eq!(open.remove(&flow.overlay), Some(flow.local), "{flow:?} ended unbegun");
            }
        }
    }
    assert_eq!(open.len(), 0, "{open:?} never ended");
    (starts, packets)
}

proptest! {
    #[test]
    fn every_created_flow_has_one_start_and_one_end_and_no_packet_is_lost(
        steps in proptest::collection::vec(step(), 0..200),
        limit in 1..32_usize,
    ) {
        let table = FlowTable::new(limit, [1, 2]);
        table.journal().switch(true);
        let (created, packets) = play(&table, &steps, &mut NOW.clone());
        end_all(&table);
        prop_assert_eq!(pair_up(&records(table.journal())), (created, packets));
        prop_assert_eq!(table.journal().dropped(), 0);
    }
}

#[test]
fn threads_that_create_and_end_the_same_flows_leave_one_start_and_one_end_each() {
    let table = FlowTable::new(16, [5, 6]).with_journal(1 << 18);
    table.journal().switch(true);
    thread::scope(|scope| {
        for thread in 0..4_u32 {
            let table = &table;
            scope.spawn(move || {
                for n in 0..10_000_u32 {
                    let new = new_flow(n.wrapping_mul(7 + thread) % 24, Protocol::UDP);
                    if let Ok(Created::New(flow) | Created::Existing(flow)) =
                        table.create(&new, &FlowTimeouts::default(), NOW)
                        && n % 3 == 0
                    {
                        table.remove(flow.id, EndReason::Killed);
                        table.rejudged(flow.id, PeerId(1), PeerId(1), 2, Some(n));
                    }
                }
            });
        }
    });
    end_all(&table);
    let all = records(table.journal());
    assert_eq!(table.journal().dropped(), 0);
    let (starts, _) = pair_up(&all);
    assert!(starts > 1_000 && all.len() == 2 * starts, "{starts} of {}", all.len());
}
