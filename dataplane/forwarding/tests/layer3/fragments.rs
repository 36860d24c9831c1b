//! Datagrams that arrive in fragments.

use std::time::Duration;

use gridway_forwarding::{DropReason, Inbound, Outbound, Target};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::tcp::TcpFlags;
use proptest::prelude::*;

use crate::pieces::{cut, fix_header, put_together};
use crate::sharing::{self, REMOTE, SHARED, local_answer};
use crate::support::{
    ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, PLAIN_A, address, answer, assert_addresses, echo, judged,
    packet, tcp, udp,
};

/// What the node in `support` follows at once.
const LIMIT: usize = 64;

fn node() -> Node {
    Node::new(&format!("{CORP_A}{ALLOW_ALL}{PLAIN_A}{ALLOW_ALL}"))
}

fn big(mut spec: PacketSpec) -> PacketSpec {
    spec.payload = (0..1400).map(|n| (n / 3) as u8).collect();
    spec
}

/// What became of a fragment.
#[derive(Debug, PartialEq)]
enum Fate {
    Passed,
    Held,
    Dropped(DropReason),
}

/// A node, and all that passed it.
struct Passage<'n> {
    node: &'n mut Node,
    passed: Vec<Vec<u8>>,
}

impl<'n> Passage<'n> {
    fn new(node: &'n mut Node) -> Self {
        Self { node, passed: Vec::new() }
    }

    fn note(&mut self, mut bytes: Vec<u8>, len: usize) -> Fate {
        bytes.truncate(len);
        self.passed.push(bytes);
        Fate::Passed
    }

    fn collect(&mut self, fate: Fate) -> Fate {
        self.passed.extend(self.node.emitted().into_iter().map(|(_, bytes)| bytes));
        fate
    }

    fn out(&mut self, piece: &[u8]) -> Fate {
        let mut bytes = piece.to_vec();
        let fate = match self.node.outbound(&mut bytes) {
            Outbound::Tunnel { len, .. } => self.note(bytes, len),
            Outbound::Held => Fate::Held,
            Outbound::Drop(reason) => Fate::Dropped(reason),
            other => panic!("{other:?}"),
        };
        self.collect(fate)
    }

    fn inward(&mut self, piece: &[u8]) -> Fate {
        let mut bytes = piece.to_vec();
        let fate = match self.node.inbound("gw-b", &mut bytes) {
            Inbound::Deliver { len, .. } => self.note(bytes, len),
            Inbound::Held => Fate::Held,
            Inbound::Drop(reason) => Fate::Dropped(reason),
            other => panic!("{other:?}"),
        };
        self.collect(fate)
    }
}

/// Packets received, queued, taken out again and dropped, of both directions.
fn books(node: &Node) -> [(u64, u64); 2] {
    let counters = node.forwarder.counters();
    [&counters.outbound, &counters.inbound].map(|books| {
        let dropped: u64 = DropReason::all().map(|reason| books.dropped(reason)).sum();
        (books.dequeued.get(), dropped)
    })
}

#[test]
fn fragments_follow_their_first_in_any_order_both_ways() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut node = node();
        for spec in [
            big(udp(HOST_A[0], HOST_B[2])),
            big(tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN)),
            big(echo(HOST_A[0], HOST_B[2], false)),
        ] {
            let pieces = cut(&spec, 600, 1);
            let mut passage = Passage::new(&mut node);
            for index in order {
                let early =
                    index != 0 && !order.iter().take_while(|other| **other != index).any(|other| *other == 0);
                assert_eq!(passage.out(&pieces[index]) == Fate::Held, early, "{order:?} {index}");
            }
            for piece in &passage.passed {
                let after = judged(piece);
                assert_addresses(&after, HOST_A[1], HOST_B[1]);
                assert_eq!(after.ttl, 63);
            }
            assert_eq!(passage.passed.len(), 3);
            assert!(put_together(&passage.passed).ends_with(&spec.payload));

            let overlay =
                PacketSpec { source: address(HOST_A[1]), destination: address(HOST_B[1]), ..spec.clone() };
            let pieces = cut(&answer(&overlay), 600, 2);
            let mut passage = Passage::new(&mut node);
            for index in order {
                passage.inward(&pieces[index]);
            }
            assert_eq!(passage.passed.len(), 3);
            passage.passed.iter().for_each(|piece| assert_addresses(&judged(piece), HOST_B[2], HOST_A[0]));
            assert!(put_together(&passage.passed).ends_with(&spec.payload));
        }
        assert_eq!(node.flows.len(), 3);
    }
}

#[test]
fn ipv6_fragments_follow_too() {
    for order in [[0, 1, 2], [2, 1, 0]] {
        let mut node = node();
        let spec = big(udp("fd00:1::2", "fd00:2::7"));
        let pieces = cut(&spec, 600, 77);
        assert_eq!(pieces.len(), 3);
        let mut passage = Passage::new(&mut node);
        for index in order {
            passage.out(&pieces[index]);
        }
        assert!(put_together(&passage.passed).ends_with(&spec.payload));
        passage.passed.iter().for_each(|piece| assert_addresses(&judged(piece), "fd00:1::2", "fd00:2::7"));
    }
}

#[test]
fn hosts_that_share_an_address_have_their_fragments_translated_apart() {
    let mut node = sharing::node();
    let mut answers = Vec::new();
    for remote in &REMOTE[..2] {
        let spec = big(sharing::udp_from(remote, (40_000, 53)));
        // Both hosts use the same identification.
        let pieces = cut(&spec, 600, 9);
        let mut passage = Passage::new(&mut node);
        assert_eq!(passage.inward(&pieces[1]), Fate::Held);
        assert_eq!(passage.inward(&pieces[0]), Fate::Passed);
        assert_eq!(passage.inward(&pieces[2]), Fate::Passed);
        passage.passed.iter().for_each(|piece| assert_addresses(&judged(piece), SHARED, HOST_A[0]));
        let first =
            passage.passed.iter().find(|piece| judged(piece).tuple.source_port != 0).expect("the first");
        answers.push((spec.clone(), local_answer(&spec, &judged(first).tuple)));
    }
    for (identification, (spec, answer)) in answers.into_iter().enumerate() {
        let pieces = cut(&answer, 600, 100 + identification as u16);
        let mut passage = Passage::new(&mut node);
        for piece in pieces.iter().rev() {
            passage.out(piece);
        }
        let source = spec.source.to_string();
        passage.passed.iter().for_each(|piece| assert_addresses(&judged(piece), HOST_A[1], &source));
        assert_eq!(passage.passed.len(), 3);
    }
}

#[test]
fn fragments_share_the_fate_of_a_first_that_is_refused() {
    let mut node = Node::new(CORP_A);
    let pieces = cut(&big(udp(HOST_A[0], HOST_B[2])), 600, 1);
    let mut passage = Passage::new(&mut node);
    assert_eq!(passage.out(&pieces[1]), Fate::Held);
    assert_eq!(passage.out(&pieces[0]), Fate::Dropped(DropReason::AclNoMatch));
    assert_eq!(passage.out(&pieces[2]), Fate::Dropped(DropReason::AclNoMatch));
    // What waited was dropped with it, and is in the books.
    assert_eq!(books(&node)[0], (1, 1));
    assert_eq!(node.forwarder.counters().outbound.dropped(DropReason::AclNoMatch), 1);
}

#[test]
fn a_first_fragment_that_does_not_come_takes_those_that_wait_along() {
    let mut node = node();
    let out = cut(&big(udp(HOST_A[0], HOST_B[2])), 600, 1);
    let inward = cut(&big(udp(HOST_B[1], HOST_A[1])), 600, 1);
    let mut passage = Passage::new(&mut node);
    assert_eq!(passage.out(&out[1]), Fate::Held);
    assert_eq!(passage.out(&out[2]), Fate::Held);
    assert_eq!(passage.inward(&inward[2]), Fate::Held);
    node.wait(Duration::from_millis(14_999));
    assert_eq!(node.fragments.expire(node.now), [0, 0]);
    node.wait(Duration::from_millis(1));
    assert_eq!(node.fragments.expire(node.now), [2, 1]);
    assert!(node.fragments.is_empty());
    assert_eq!(Passage::new(&mut node).out(&out[0]), Fate::Passed, "the first alone goes on");
}

#[test]
fn what_waits_is_given_up_at_the_end() {
    let mut node = node();
    let out = cut(&big(udp(HOST_A[0], HOST_B[2])), 600, 1);
    Passage::new(&mut node).out(&out[1]);
    assert_eq!(node.fragments.clear(), [1, 0]);
    assert_eq!(node.fragments.clear(), [0, 0]);
}

#[test]
fn one_datagram_may_not_wait_with_more_than_a_few() {
    let mut node = node();
    let mut spec = udp(HOST_A[0], HOST_B[2]);
    spec.payload = vec![1; 3000];
    let pieces = cut(&spec, 100, 1);
    let mut passage = Passage::new(&mut node);
    let held = pieces[1..].iter().filter(|piece| passage.out(piece) == Fate::Held).count();
    assert_eq!(held, 16);
    assert_eq!(passage.out(&pieces[30]), Fate::Dropped(DropReason::FragmentLimit));
    assert_eq!(passage.out(&pieces[0]), Fate::Passed);
    assert_eq!(passage.passed.len(), 17);
}

#[test]
fn a_flood_of_fragments_without_a_first_is_bounded() {
    let mut node = node();
    let pieces = cut(&big(udp(HOST_A[0], HOST_B[2])), 600, 1);
    let mut held = 0;
    for identification in 0..10_000_u16 {
        let mut bytes = pieces[1].clone();
        bytes[4..6].copy_from_slice(&identification.to_be_bytes());
        fix_header(&mut bytes);
        match Passage::new(&mut node).out(&bytes) {
            Fate::Held => held += 1,
            fate => assert_eq!(fate, Fate::Dropped(DropReason::FragmentLimit)),
        }
    }
    assert_eq!(held, LIMIT / 2, "the other half is for datagrams whose first has come");
    assert!(node.fragments.len() <= LIMIT);
    // Datagrams whose first comes first do not suffer.
    for identification in 20_000..20_010 {
        let pieces = cut(&big(udp(HOST_A[0], HOST_B[2])), 600, identification);
        let mut passage = Passage::new(&mut node);
        pieces.iter().for_each(|piece| assert_eq!(passage.out(piece), Fate::Passed));
    }
    node.wait(Duration::from_secs(15));
    assert_eq!(node.fragments.expire(node.now), [LIMIT as u64 / 2, 0]);
    assert!(node.fragments.is_empty());
}

/// The near node cuts what does not fit, so all packets of a host may come in fragments.
#[test]
fn more_datagrams_than_are_followed_at_once_pass_one_after_the_other() {
    let mut node = node();
    for identification in 0..(20 * LIMIT as u16) {
        let spec = big(udp(HOST_B[1], HOST_A[1]));
        let mut passage = Passage::new(&mut node);
        for (index, piece) in cut(&spec, 600, identification).iter().enumerate() {
            assert_eq!(passage.inward(piece), Fate::Passed, "datagram {identification}, fragment {index}");
        }
        assert!(node.fragments.len() <= LIMIT);
        node.wait(Duration::from_millis(1));
    }
}

#[test]
fn an_identification_may_be_used_again() {
    let mut node = node();
    let pieces = cut(&big(udp(HOST_A[0], HOST_B[2])), 600, 1);
    // Each time the last fragment comes late in the life of what is known of the datagram before.
    for _ in 0..5 {
        let mut passage = Passage::new(&mut node);
        assert_eq!(passage.out(&pieces[0]), Fate::Passed);
        passage.node.wait(Duration::from_secs(10));
        passage.node.fragments.expire(passage.node.now);
        assert_eq!(passage.out(&pieces[1]), Fate::Passed);
        assert_eq!(passage.out(&pieces[2]), Fate::Passed);
    }
}

#[test]
fn a_late_fragment_of_a_flow_that_is_gone_does_not_count_for_the_next_one() {
    let mut node = Node::with_flows(&format!("{CORP_A}{ALLOW_ALL}"), 1);
    let pieces = cut(&big(udp(HOST_A[0], HOST_B[2])), 600, 1);
    let mut passage = Passage::new(&mut node);
    passage.out(&pieces[0]);
    sharing::kill_all(&node);
    node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
    Passage::new(&mut node).out(&pieces[1]);
    assert_eq!(node.only_flow().traffic[0].packets, 1, "the slot is another flow's now");
}

#[test]
fn the_last_hop_of_a_fragment_is_here() {
    let mut node = node();
    let pieces = cut(&big(udp(HOST_A[0], HOST_B[2])), 600, 1);
    let mut passage = Passage::new(&mut node);
    passage.out(&pieces[0]);
    let mut spent = pieces[1].clone();
    spent[8] = 1;
    fix_header(&mut spent);
    assert_eq!(passage.out(&spent), Fate::Dropped(DropReason::TtlExceeded));
    assert!(passage.node.emitted().is_empty(), "no error about a later fragment");
}

#[test]
fn fragments_are_cut_again_where_the_path_is_narrower() {
    let narrow = CORP_A.replace("address =", "mtu = 600\naddress =");
    for order in [[0, 1], [1, 0]] {
        let mut node = Node::new(&format!("{narrow}{ALLOW_ALL}"));
        let mut spec = udp(HOST_A[0], HOST_B[2]);
        spec.payload = (0..2000).map(|n| (n / 7) as u8).collect();
        let pieces = cut(&spec, 1400, 1);
        assert_eq!(pieces.len(), 2);
        let mut passage = Passage::new(&mut node);
        for index in order {
            passage.out(&pieces[index]);
        }
        assert!(passage.passed.len() >= 4);
        assert!(passage.passed.iter().all(|piece| piece.len() <= 600 && judged(piece).ttl == 63));
        assert!(put_together(&passage.passed).ends_with(&spec.payload));
    }
}

/// What the node answers itself it does not put together: nothing waits for it.
#[test]
fn a_fragmented_echo_request_to_the_node_is_refused_as_a_whole() {
    let mut node = node();
    let pieces = cut(&big(echo(HOST_B[1], "10.200.1.254", false)), 600, 1);
    let mut passage = Passage::new(&mut node);
    for piece in &pieces {
        assert_eq!(passage.inward(piece), Fate::Dropped(DropReason::ToOwnAddress));
    }
}

#[test]
fn an_icmp_error_in_fragments_leaves_nothing_waiting() {
    let mut node = node();
    let (_, sent) = node.send(&udp(HOST_A[0], HOST_B[2]));
    let mut error = packet(HOST_B[1], HOST_A[1], Content::Error { kind: 3, code: 3 });
    error.payload = sent;
    error.payload.resize(1400, 0);
    let mut passage = Passage::new(&mut node);
    for piece in cut(&error, 600, 1) {
        assert_ne!(passage.inward(&piece), Fate::Held);
    }
}

#[test]
fn later_fragments_of_ipv6_that_are_too_big_say_what_fits() {
    let narrow = PLAIN_A.replace("nat = false", "nat = false\nmtu = 1280");
    let mut node = Node::new(&format!("{narrow}{ALLOW_ALL}"));
    let mut spec = udp("fd00:1::2", "fd00:2::7");
    spec.payload = vec![7; 3000];
    let pieces = cut(&spec, 1400, 1);
    let mut first = spec.clone();
    first.payload.truncate(1200);
    // A short first fragment, so that only the later ones are too big.
    let mut head = pieces[0][..48 + 1200].to_vec();
    head[4..6].copy_from_slice(&1208_u16.to_be_bytes());
    assert!(matches!(node.outbound(&mut head), Outbound::Tunnel { .. }));
    let mut bytes = pieces[1].clone();
    assert_eq!(node.outbound(&mut bytes), Outbound::Drop(DropReason::TooBig));
    let emitted = node.emitted();
    assert_eq!(emitted.len(), 1);
    assert_eq!(emitted[0].0, Target::Local(spec.source));
    assert_eq!(emitted[0].1[40..48], [2, 0, emitted[0].1[42], emitted[0].1[43], 0, 0, 5, 0], "MTU 1280");
}

proptest! {
    /// Some datagrams of both directions, their fragments in any order and some twice.
    #[test]
    fn every_datagram_whose_first_passes_arrives_whole(
        sizes in prop::collection::vec((60usize..1400, any::<bool>()), 1..6), seed in any::<u64>(),
    ) {
        let mut node = node();
        let mut all = Vec::new();
        let mut specs = Vec::new();
        for (index, (size, outward)) in sizes.into_iter().enumerate() {
            let mut spec = if outward { udp(HOST_A[0], HOST_B[2]) } else { udp(HOST_B[1], HOST_A[1]) };
            spec.payload = (0..size + 600).map(|n| (n * (index + 3)) as u8).collect();
            for piece in cut(&spec, 300, index as u16) {
                all.push((index, outward, piece));
            }
            specs.push(spec);
        }
        // A shuffle that depends on the seed alone.
        all.sort_by_key(|(index, _, piece)| {
            let mut hash = seed ^ (*index as u64) << 32 ^ u64::from(piece[7]) << 16 ^ u64::from(piece[6]);
            hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^ hash >> 29
        });
        let mut passage = Passage::new(&mut node);
        for (_, outward, piece) in &all {
            let fate = if *outward { passage.out(piece) } else { passage.inward(piece) };
            prop_assert!(!matches!(fate, Fate::Dropped(_)), "{:?}", fate);
        }
        prop_assert_eq!(passage.passed.len(), all.len());
        for (index, spec) in specs.iter().enumerate() {
            let of_this: Vec<Vec<u8>> = passage
                .passed
                .iter()
                .filter(|piece| usize::from(piece[5]) == index)
                .cloned()
                .collect();
            prop_assert!(put_together(&of_this).ends_with(&spec.payload));
        }
        let [out, inward] = books(passage.node);
        prop_assert_eq!((out.1, inward.1), (0, 0));
    }
}

#[test]
fn the_first_fragment_of_an_impostor_says_nothing_of_the_datagram() {
    let mut node = node();
    let spec = udp(HOST_B[1], HOST_A[1]);
    let pieces = cut(&big(spec), 1000, 7);
    assert!(matches!(node.inbound("gw-b", &mut pieces[1].clone()), Inbound::Held));
    let spoofed = node.inbound("gw-c", &mut pieces[0].clone());
    assert_eq!(spoofed, Inbound::Drop(DropReason::SourceCheck));
    assert!(matches!(node.inbound("gw-b", &mut pieces[0].clone()), Inbound::Deliver { .. }));
    assert_eq!(node.emitted().len(), 1, "the fragment that waited");
}

#[test]
fn of_a_fragment_that_waited_and_is_cut_again_the_parts_go_in_order() {
    let narrow = CORP_A.replace("address =", "mtu = 1280\naddress =");
    let mut node = Node::new(&format!("{narrow}{ALLOW_ALL}"));
    let mut spec = udp(HOST_A[0], HOST_B[2]);
    spec.payload = vec![0x5a; 2_800];
    let pieces = cut(&spec, 1_500, 1);
    assert_eq!(node.outbound(&mut pieces[1].clone()), Outbound::Held);
    let mut first = pieces[0].clone();
    let Outbound::Tunnel { len, .. } = node.outbound(&mut first) else { panic!("it passes") };
    first.truncate(len);
    let sent = std::iter::once(first).chain(node.emitted().into_iter().map(|(_, bytes)| bytes));
    let start = |bytes: Vec<u8>| (u16::from(bytes[6]) << 8 | u16::from(bytes[7])) & 0x1fff;
    let starts: Vec<_> = sent.map(start).collect();
    assert!(starts.len() >= 4 && starts.is_sorted(), "{starts:?}");
}
