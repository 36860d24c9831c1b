//! Order, claims and bounds of the records that wait for a socket.

#[path = "../../../../tunnel/tests/tunnel/support.rs"]
#[expect(dead_code, reason = "tests of the tunnel look at more than records")]
mod support;

use std::time::Duration;

use gridway_forwarding::PeerId;
use gridway_tunnel::buffer::MAX_PLAINTEXT;
use gridway_tunnel::{ConnectionId, Contents, RecordBuffer, Source};
use gridway_wire::frame::{Frame, FrameReader, VnetId};
use gridway_wire::time::Nanos;

use super::{JOIN_SPAN, LONGEST_WAIT, SEALED_AHEAD, SendQueue};
use crate::link::Link;
use crate::pool::Pools;

const VNET: VnetId = VnetId(1);
const BUFFERS: usize = 64;

/// A queue, with what its records are claimed from.
struct Fixture {
    queue: SendQueue,
    link: Link,
    pools: Pools,
}

impl Fixture {
    fn new() -> Self {
        let link = Link::new(ConnectionId(1), PeerId(0), 0, 0, BUFFERS as u32);
        Self { queue: SendQueue::new(), link, pools: Pools::new(BUFFERS, 1) }
    }

    /// A data worker's record with one packet of such bytes.
    fn record(&self, byte: u8, len: usize, at: Duration, passes: bool) -> RecordBuffer {
        assert!(self.link.claim(passes), "a test needs fewer records");
        let mut record = self.pools.take_record().expect("as many as claims");
        record.push_packet(VNET, &vec![byte; len], Source::Local).expect("it fits");
        (record.closed_at, record.passes) = (Nanos(0) + at, passes);
        record
    }

    fn push(&mut self, byte: u8, len: usize, at: Duration, passes: bool) {
        let record = self.record(byte, len, at, passes);
        self.queue.push_packets(record, &self.link, &self.pools);
    }

    fn push_control(&mut self, token: u64) {
        let mut record = RecordBuffer::new();
        record.push_frames(|writer| writer.ping(token)).expect("it fits");
        self.queue.push_control(record);
    }

    /// First bytes of the packets in each record that waits; a control record's are its ping's.
    fn order(&self) -> Vec<Vec<u8>> {
        let first = |frame| match frame {
            Frame::Packets(packets) => packets.iter().map(|packet| packet[0]).collect(),
            Frame::Ping(token) => vec![token as u8],
            other => panic!("{other:?}"),
        };
        let waiting = self.queue.waiting.iter();
        waiting
            .map(|outgoing| FrameReader::new(outgoing.record.plaintext()))
            .map(|frames| frames.flat_map(|frame| first(frame.expect("well formed"))).collect())
            .collect()
    }

    /// Buffers that are neither in the pool nor in the queue.
    fn used(&self) -> usize {
        self.pools.records_used().0
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn records_that_follow_at_once_become_one_and_give_back_what_they_took() {
    let mut at = Fixture::new();
    // More than there are claims and buffers.
    for byte in 0..100 {
        at.push(byte, 100, ms(0), false);
    }
    assert_eq!(at.order(), [(0..100).collect::<Vec<u8>>()]);
    assert_eq!((at.queue.len(), at.used()), (1, 1));
    let lost = at.queue.clear(&at.link, &at.pools);
    assert_eq!(lost, Contents { local: 100, local_bytes: 10_000, ..Contents::default() });
    assert_eq!(at.used(), 0);
    let claims = (0..).take_while(|_| at.link.claim(false)).count();
    assert_eq!(claims, BUFFERS, "every claim is given back once");
}

#[test]
fn a_record_that_is_full_or_too_old_is_not_added_to() {
    let mut at = Fixture::new();
    at.push(1, 10_000, ms(0), false);
    at.push(2, 10_000, ms(0), false);
    at.push(3, 10, ms(0), false);
    at.push(4, 10, JOIN_SPAN, false);
    at.push(5, 10, JOIN_SPAN + Duration::from_nanos(1), false);
    assert_eq!(at.order(), [vec![1], vec![2, 3, 4], vec![5]]);
    // Told from its first packet.
    assert_eq!(at.queue.oldest_in_turn(), Some(Nanos(0)));
    // One that another worker closed before, and brought later.
    at.push(6, 10, ms(0), false);
    assert_eq!(at.order()[2], [5, 6]);
    assert_eq!(at.queue.waiting[2].record.closed_at, Nanos(0));
}

#[test]
fn records_that_pass_become_one_in_front_of_those_that_wait() {
    let mut at = Fixture::new();
    at.push(1, 10, ms(0), false);
    at.push(2, 10, ms(0), true);
    at.push(3, 10, ms(0), false);
    at.push(4, 10, ms(1), true);
    // However far apart: there are few places for them.
    at.push(5, 10, ms(300), true);
    at.push(6, 10, ms(1), false);
    assert_eq!(at.order(), [vec![2, 4, 5], vec![1, 3, 6]]);
    let free = (0..).take_while(|_| at.link.claim(true)).count();
    assert_eq!(free + 1, crate::pool::PASSING as usize);
}

#[test]
fn control_frames_go_ahead_of_all_in_their_order_and_take_nothing_in() {
    let mut at = Fixture::new();
    at.push(1, 10, ms(0), false);
    at.push(2, 10, ms(0), true);
    at.push_control(91);
    at.push_control(92);
    at.push(3, 10, ms(0), true);
    assert_eq!(at.order(), [vec![91], vec![92], vec![2, 3], vec![1]]);
    assert_eq!((at.queue.own(), at.queue.oldest_in_turn()), (2, Some(Nanos(0))));
    // Behind control frames alone, packets have a record of their own.
    let mut at = Fixture::new();
    at.push_control(91);
    at.push(1, 10, ms(0), false);
    assert_eq!(at.order(), [vec![91], vec![1]]);
}

#[test]
fn records_of_streams_take_no_packets_in() {
    let mut at = Fixture::new();
    let mut left = 9;
    at.queue.fill(&mut left, &at.link, &at.pools, |record| {
        record.push_frames(|writer| writer.ping(77)).expect("it fits");
    });
    assert_eq!(left, 8, "one at a time while it is not known how much the socket takes");
    at.push(1, 10, ms(0), false);
    assert_eq!(at.order(), [vec![77], vec![1]]);
    at.queue.clear(&at.link, &at.pools);
    assert_eq!(at.used(), 0);
}

#[test]
fn packets_that_wait_too_long_are_dropped_and_those_that_pass_are_not() {
    let mut at = Fixture::new();
    at.push(1, 10, ms(0), false);
    at.push(2, 10, ms(5), false);
    at.push(3, 10, ms(10), false);
    at.push(4, 10, ms(0), true);
    at.push_control(91);
    let none = at.queue.expire(Nanos(0) + LONGEST_WAIT, &at.link, &at.pools);
    assert_eq!((none.packets(), at.queue.len()), (0, 5));
    let two = at.queue.expire(Nanos(0) + LONGEST_WAIT + ms(6), &at.link, &at.pools);
    assert_eq!((two.local, two.local_bytes), (2, 20));
    assert_eq!((at.order(), at.used()), (vec![vec![91], vec![4], vec![3]], 2));
    let claims = (0..).take_while(|_| at.link.claim(false)).count();
    assert_eq!(claims, BUFFERS - 1, "their claims are given back");
}

#[test]
fn what_is_sealed_and_what_streams_say_is_not_dropped() {
    let (mut near, _) = support::layers();
    let long = Nanos(0) + 9 * LONGEST_WAIT;
    let mut at = Fixture::new();
    at.push(1, 10, ms(0), false);
    at.queue.seal(&mut near).unwrap();
    assert_eq!(at.queue.expire(long, &at.link, &at.pools), Contents::default());
    let mut at = Fixture::new();
    at.queue.fill(&mut 1, &at.link, &at.pools, |record| {
        record.push_frames(|writer| writer.ping(77)).expect("it fits");
    });
    assert_eq!(at.queue.expire(long, &at.link, &at.pools), Contents::default());
    assert_eq!(at.order(), [vec![77]]);
}

/// What is sealed and not yet sent, in bytes.
fn unsent(queue: &SendQueue) -> usize {
    queue.sealed.iter().map(|outgoing| outgoing.record.sealed().len()).sum::<usize>() - queue.sent
}

#[test]
fn little_is_sealed_ahead_of_a_socket_that_is_full() {
    let (mut near, _) = support::layers();
    let mut at = Fixture::new();
    for byte in 0..20 {
        at.push(byte, 12_000, ms(0), false);
    }
    at.queue.seal(&mut near).unwrap();
    assert_eq!(at.queue.sealed.len(), 1);
    at.queue.kept_up(100);
    at.queue.seal(&mut near).unwrap();
    assert_eq!(at.queue.sealed.len(), 1, "a socket that took little has shown little");
    for _ in 0..8 {
        at.queue.kept_up(1 << 20);
    }
    at.queue.seal(&mut near).unwrap();
    assert_eq!(at.queue.sealed.len(), SEALED_AHEAD);
    // Some of it leaves, then the socket is full.
    at.queue.advance(unsent(&at.queue) - 1_000, &at.link, &at.pools, &mut Contents::default());
    at.queue.blocked();
    at.queue.seal(&mut near).unwrap();
    assert_eq!(at.queue.sealed.len(), 2, "the rest of one, and one more");
    at.push(99, 12_000, ms(0), true);
    at.queue.seal(&mut near).unwrap();
    assert_eq!(at.order()[0], [99], "what passes is the next one");
}

#[test]
fn small_records_are_sealed_together() {
    let (mut near, _) = support::layers();
    let mut at = Fixture::new();
    for number in 0..8 {
        at.push(number, 1_000, ms(5 * u64::from(number)), false);
    }
    at.queue.seal(&mut near).unwrap();
    assert_eq!((at.queue.sealed.len(), at.queue.len()), (SEALED_AHEAD, 8));
}

#[test]
fn what_was_joined_arrives_whole_and_in_order_through_a_socket_that_takes_a_little_at_a_time() {
    let (mut near, mut far) = support::layers();
    let mut at = Fixture::new();
    at.push(1, 9_000, ms(0), false);
    // The largest record there can be, to the byte.
    let with_headers = at.queue.waiting[0].record.plaintext().len();
    let rest = MAX_PLAINTEXT - with_headers - (with_headers - 9_000);
    at.push(2, rest, ms(0), false);
    at.push(3, 500, ms(0), false);
    assert_eq!(at.order(), [vec![1, 2], vec![3]]);
    assert_eq!(at.queue.waiting[0].record.plaintext().len(), MAX_PLAINTEXT);
    let plaintext: Vec<u8> =
        at.queue.waiting.iter().flat_map(|outgoing| outgoing.record.plaintext().to_vec()).collect();
    let (mut socket, mut written) = (Vec::new(), Contents::default());
    loop {
        at.queue.seal(&mut near).unwrap();
        if at.queue.nothing_sealed() {
            break;
        }
        let mut room = [0; 777];
        let taken = at.queue.write(&mut &mut room[..]).unwrap();
        socket.extend_from_slice(&room[..taken]);
        at.queue.advance(taken, &at.link, &at.pools, &mut written);
    }
    assert_eq!(support::open(&mut far, &socket).unwrap().frames, plaintext);
    assert_eq!((written.local, written.local_bytes), (3, 9_500 + rest as u64));
    assert_eq!((at.queue.len(), at.used()), (0, 0));
}
