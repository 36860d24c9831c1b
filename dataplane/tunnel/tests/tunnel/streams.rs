//! Streams of two nodes joined on memory: what one reads from its sources the other gives to its sinks, in order, each
//! within its credit.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gridway_tunnel::RecordBuffer;
use gridway_tunnel::streams::{Change, CreditPool, Given, Source, StreamError, StreamEvent, Streams};
use gridway_wire::frame::{
    Frame, FrameReader, INITIAL_CREDIT, ResetReason, StreamFrame, StreamId, StreamOpen, StreamProtocol,
    StreamTarget,
};
use gridway_wire::time::Nanos;
use proptest::prelude::*;

const OPEN: StreamOpen<'_> = StreamOpen {
    protocol: StreamProtocol::Tcp,
    client: None,
    listener: None,
    target: StreamTarget::Service("db"),
};
const POOL: u64 = 1 << 20;

/// One local end: what it still has to send, and what it was given.
#[derive(Debug, Default)]
struct End {
    stream: Option<StreamId>,
    to_send: VecDeque<u8>,
    ends: bool,
    received: Vec<u8>,
    /// Bytes received and not taken.
    waiting: usize,
    finished: bool,
    reset: Option<ResetReason>,
}

#[derive(Debug, Default)]
struct Ends(HashMap<usize, End>);

impl Source for Ends {
    fn give(&mut self, owner: usize, room: &mut [u8], _ahead: usize) -> Given {
        assert!(!room.is_empty());
        let end = self.0.get_mut(&owner).expect("only known owners are asked");
        match end.to_send.len().min(room.len()) {
            0 if end.ends => Given::End,
            0 => Given::Nothing,
            count => {
                room.iter_mut().zip(end.to_send.drain(..count)).for_each(|(to, from)| *to = from);
                Given::Bytes(count)
            }
        }
    }
}

struct Node {
    streams: Streams,
    ends: Ends,
    pool: Arc<CreditPool>,
    accepts: bool,
}

impl Node {
    fn new(dialled: bool) -> Self {
        let pool = Arc::new(CreditPool::new(POOL));
        Self { streams: Streams::new(dialled, pool.clone()), ends: Ends::default(), pool, accepts: true }
    }

    fn open(&mut self, owner: usize) -> StreamId {
        let id = self.streams.open(&OPEN, owner, Nanos(0)).unwrap();
        self.ends.0.insert(owner, End { stream: Some(id), ..End::default() });
        id
    }

    fn send(&mut self, owner: usize, bytes: &[u8], ends: bool) {
        let end = self.ends.0.get_mut(&owner).unwrap();
        end.to_send.extend(bytes);
        end.ends |= ends;
        self.streams.wants_to_send(end.stream.unwrap());
    }

    fn take(&mut self, owner: usize, bytes: usize) {
        let end = self.ends.0.get_mut(&owner).unwrap();
        let bytes = bytes.min(end.waiting);
        end.waiting -= bytes;
        self.streams.taken(end.stream.unwrap(), bytes);
    }

    /// The next record, as plaintext.
    fn record(&mut self, now: Nanos) -> Option<Vec<u8>> {
        let mut record = RecordBuffer::new();
        self.streams.fill(&mut record, &mut self.ends, now);
        (!record.is_empty()).then(|| record.plaintext().to_vec())
    }

    fn receive(&mut self, record: &[u8]) -> Result<(), StreamError> {
        for frame in FrameReader::new(record) {
            let Frame::Stream(frame) = frame.unwrap() else { panic!("only streams write here") };
            let Some(event) = self.streams.handle(frame)? else { continue };
            match event {
                StreamEvent::Change(Change::Open(id, open)) => {
                    assert_eq!(open, OPEN);
                    if self.accepts {
                        let owner = id.0 as usize + 1000;
                        self.streams.accept(id, owner, Nanos(0));
                        self.ends.0.insert(owner, End { stream: Some(id), ..End::default() });
                    } else {
                        self.streams.refuse(id, ResetReason::UnknownService);
                    }
                }
                StreamEvent::Change(Change::Opened(_)) => {}
                StreamEvent::Data(owner, _, bytes) => {
                    let end = self.ends.0.get_mut(&owner).unwrap();
                    assert!(!end.finished);
                    end.received.extend(bytes);
                    end.waiting += bytes.len();
                }
                StreamEvent::Change(Change::Finish(owner)) => {
                    self.ends.0.get_mut(&owner).unwrap().finished = true;
                }
                StreamEvent::Change(Change::Reset(owner, reason)) => {
                    self.ends.0.get_mut(&owner).unwrap().reset = Some(reason);
                }
            }
        }
        Ok(())
    }
}

/// Carries everything there is both ways.
fn carry(a: &mut Node, b: &mut Node, now: Nanos) {
    loop {
        let (from_a, from_b) = (a.record(now), b.record(now));
        if from_a.is_none() && from_b.is_none() {
            return;
        }
        from_a.iter().for_each(|record| b.receive(record).unwrap());
        from_b.iter().for_each(|record| a.receive(record).unwrap());
    }
}

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Send { side: bool, stream: usize, len: usize },
    Take { side: bool, stream: usize, len: usize },
    Carry { side: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<bool>(), 0..4usize, 1..40_000usize).prop_map(|(side, stream, len)| Step::Send {
            side,
            stream,
            len
        }),
        (any::<bool>(), 0..4usize, 1..80_000usize).prop_map(|(side, stream, len)| Step::Take {
            side,
            stream,
            len
        }),
        any::<bool>().prop_map(|side| Step::Carry { side }),
    ]
}

proptest! {
    #[test]
    fn bytes_arrive_in_order_whatever_the_pace(steps in proptest::collection::vec(step(), 1..120)) {
        let (mut a, mut b) = (Node::new(true), Node::new(false));
        // Two streams of each side; the other's ends are found by their number.
        let ids: Vec<StreamId> = vec![a.open(0), a.open(1), b.open(2), b.open(3)];
        carry(&mut a, &mut b, Nanos(0));
        let owner = |side: bool, stream: usize| {
            // Side false is A; streams 0 and 1 are A's own.
            if side == (stream >= 2) { stream } else { ids[stream].0 as usize + 1000 }
        };
        let mut sent: HashMap<(bool, usize), Vec<u8>> = HashMap::new();
        let mut now = 0;
        for step in steps {
            now += 1_000_000;
            match step {
                Step::Send { side, stream, len } => {
                    let bytes = pattern(len, now as u8);
                    sent.entry((side, stream)).or_default().extend(&bytes);
                    if side { &mut b } else { &mut a }.send(owner(side, stream), &bytes, false);
                }
                Step::Take { side, stream, len } => {
                    if side { &mut b } else { &mut a }.take(owner(side, stream), len);
                }
                Step::Carry { side } => {
                    let (from, to) = if side { (&mut b, &mut a) } else { (&mut a, &mut b) };
                    if let Some(record) = from.record(Nanos(now)) {
                        to.receive(&record).unwrap();
                    }
                }
            }
            for (node, side) in [(&a, false), (&b, true)] {
                let granted = POOL - node.pool.left();
                let waiting: usize = node.ends.0.values().map(|end| end.waiting).sum();
                let bound = 4 * u64::from(INITIAL_CREDIT) + granted;
                prop_assert!(waiting as u64 <= bound, "side {}: {} of {}", side, waiting, bound);
            }
        }
        // In the end everything comes through.
        for _ in 0..200 {
            now += 1_000_000;
            carry(&mut a, &mut b, Nanos(now));
            for stream in 0..4 {
                a.take(owner(false, stream), usize::MAX);
                b.take(owner(true, stream), usize::MAX);
            }
        }
        for ((side, stream), bytes) in &sent {
            let receiver = if *side { &a } else { &b };
            let end = &receiver.ends.0[&owner(!side, *stream)];
            prop_assert_eq!(end.received.len(), bytes.len());
            prop_assert!(end.received == *bytes);
        }
    }

    #[test]
    fn whatever_a_peer_sends_is_survived(
        frames in proptest::collection::vec((0u8..6, 0u32..6, 0usize..70_000), 1..60),
    ) {
        let mut node = Node::new(true);
        node.open(0);
        for (kind, id, len) in frames {
            let (id, bytes) = (StreamId(id.max(1)), vec![7; len.clamp(1, 16_000)]);
            let frame = match kind {
                0 => StreamFrame::Open(id, OPEN),
                1 => StreamFrame::Data(id, &bytes),
                2 => StreamFrame::Window { id, increment: len as u32, opened: true },
                3 => StreamFrame::Finish(id),
                4 => StreamFrame::Reset(id, ResetReason::Aborted),
                _ => StreamFrame::Window { id, increment: u32::MAX, opened: false },
            };
            match node.streams.handle(frame) {
                Err(_) => break,
                Ok(Some(StreamEvent::Change(Change::Open(id, _)))) => node.streams.accept(id, 5, Nanos(0)),
                Ok(_) => {}
            }
        }
        drop(node.streams);
        prop_assert_eq!(node.pool.left(), POOL, "what was taken from the pool is given back");
    }
}

#[test]
fn a_reader_that_stalls_holds_back_nobody_else() {
    let (mut a, mut b) = (Node::new(true), Node::new(false));
    let (stalled, lively) = (a.open(0), a.open(1));
    a.send(0, &pattern(1 << 20, 1), true);
    a.send(1, &pattern(1 << 20, 2), true);
    for turn in 0..200 {
        carry(&mut a, &mut b, Nanos(turn));
        b.take(lively.0 as usize + 1000, usize::MAX);
    }
    assert!(b.ends.0[&(lively.0 as usize + 1000)].finished);
    let end = &b.ends.0[&(stalled.0 as usize + 1000)];
    assert_eq!(end.received.len(), INITIAL_CREDIT as usize, "as much as it has credit for");
    assert!(!end.finished);
}

#[test]
fn a_stream_that_is_read_fast_gets_a_larger_window_and_gives_it_back() {
    let (mut a, mut b) = (Node::new(true), Node::new(false));
    b.streams.set_round_trip(Duration::from_millis(40));
    let id = a.open(0);
    a.send(0, &pattern(4 << 20, 1), true);
    let (owner, mut turns) = (id.0 as usize + 1000, 0_u64);
    while !b.ends.0.get(&owner).is_some_and(|end| end.finished) {
        turns += 1;
        carry(&mut a, &mut b, Nanos(turns * 40_000_000));
        b.take(owner, usize::MAX);
    }
    // 4 MiB in steps of 32 KiB would take 128.
    assert!(turns < 20, "{turns} round trips");
    assert!(b.pool.left() < POOL);
    b.send(owner, &[], true);
    carry(&mut a, &mut b, Nanos(turns * 40_000_000));
    assert!(a.streams.is_empty() && b.streams.is_empty());
    assert_eq!(b.pool.left(), POOL);
}

#[test]
fn streams_with_much_to_send_take_turns_and_a_fresh_one_goes_first() {
    let (mut a, mut b) = (Node::new(true), Node::new(false));
    let ids = [a.open(0), a.open(1), a.open(2)];
    carry(&mut a, &mut b, Nanos(0));
    a.send(0, &pattern(30_000, 1), false);
    a.send(1, &pattern(30_000, 1), false);
    let (first, second) = (a.record(Nanos(0)).unwrap(), a.record(Nanos(0)).unwrap());
    a.send(2, b"a key stroke", false);
    let third = a.record(Nanos(0)).unwrap();
    let of = |record: &[u8]| -> Vec<StreamId> {
        let id = |frame| match frame {
            Ok(Frame::Stream(StreamFrame::Data(id, _))) => id,
            other => panic!("no data: {other:?}"),
        };
        FrameReader::new(record).map(id).collect()
    };
    assert_eq!(of(&first), [ids[0]]);
    assert_eq!(of(&second)[..2], [ids[1], ids[0]], "one that was never asked gets little before the others");
    assert_eq!(of(&third)[..2], [ids[2], ids[1]]);
}

#[test]
fn half_of_a_stream_may_end_before_the_other() {
    let (mut a, mut b) = (Node::new(true), Node::new(false));
    let owner = a.open(0).0 as usize + 1000;
    a.send(0, b"question", true);
    carry(&mut a, &mut b, Nanos(0));
    assert!(b.ends.0[&owner].finished && !a.ends.0[&0].finished);
    b.take(owner, usize::MAX);
    b.send(owner, b"answer", true);
    carry(&mut a, &mut b, Nanos(0));
    assert_eq!(a.ends.0[&0].received, b"answer");
    assert!(a.ends.0[&0].finished);
    assert!(b.streams.is_empty());
    assert_eq!(a.streams.len(), 1, "it counts until its bytes are taken");
    a.take(0, usize::MAX);
    assert!(a.streams.is_empty());
}

#[test]
fn resets_and_refusals_reach_the_other_side_and_what_was_on_its_way_is_ignored() {
    let (mut a, mut b) = (Node::new(true), Node::new(false));
    let id = a.open(0);
    carry(&mut a, &mut b, Nanos(0));
    a.send(0, b"too late", false);
    let on_its_way = a.record(Nanos(0)).unwrap();
    b.streams.reset(id, ResetReason::Ended);
    b.receive(&on_its_way).unwrap();
    carry(&mut a, &mut b, Nanos(0));
    assert_eq!(a.ends.0[&0].reset, Some(ResetReason::Ended));
    b.accepts = false;
    a.open(1);
    carry(&mut a, &mut b, Nanos(0));
    assert_eq!(a.ends.0[&1].reset, Some(ResetReason::UnknownService));
    assert!(a.streams.is_empty() && b.streams.is_empty());
}

#[test]
fn what_makes_no_sense_ends_the_connection() {
    let id = StreamId;
    let handle = |frames: &[StreamFrame<'_>]| {
        let mut node = Node::new(true);
        node.open(0);
        frames.iter().try_for_each(|frame| {
            if let Some(StreamEvent::Change(Change::Open(id, _))) = node.streams.handle(*frame)? {
                node.streams.accept(id, 1, Nanos(0));
            }
            Ok(())
        })
    };
    let credit = vec![0; INITIAL_CREDIT as usize + 1];
    let finish = StreamFrame::Finish(id(1));
    for (frames, error) in [
        (vec![StreamFrame::Open(id(3), OPEN)], StreamError::Number(id(3))),
        (vec![StreamFrame::Open(id(4), OPEN), StreamFrame::Open(id(2), OPEN)], StreamError::Number(id(2))),
        (vec![StreamFrame::Data(id(3), b"x")], StreamError::Unknown(id(3))),
        (vec![StreamFrame::Finish(id(2))], StreamError::Unknown(id(2))),
        (vec![StreamFrame::Data(id(1), &credit)], StreamError::Credit(id(1))),
        (vec![finish, StreamFrame::Data(id(1), b"x")], StreamError::Finished(id(1))),
        (vec![finish, finish], StreamError::Finished(id(1))),
        (
            vec![StreamFrame::Window { id: id(1), increment: u32::MAX, opened: false }],
            StreamError::Overflow(id(1)),
        ),
    ] {
        assert_eq!(handle(&frames), Err(error));
    }
}

#[test]
fn streams_are_not_opened_towards_a_peer_that_takes_nothing() {
    let mut node = Node::new(true);
    let opened =
        (0..100_000).take_while(|owner| node.streams.open(&OPEN, *owner, Nanos(0)).is_some()).count();
    assert!((16_384..100_000).contains(&opened), "{opened}");
    assert!(!node.streams.can_open() && !node.streams.is_worn());
}

#[test]
fn a_peer_that_asks_without_reading_is_given_up() {
    let mut node = Node::new(false);
    node.accepts = false;
    let refused = (0..).find_map(|n| {
        let frame = StreamFrame::Open(StreamId(2 * n + 1), OPEN);
        match node.streams.handle(frame) {
            Ok(Some(StreamEvent::Change(Change::Open(id, _)))) => {
                node.streams.refuse(id, ResetReason::UnknownService);
                None
            }
            other => Some((n, other)),
        }
    });
    let (count, outcome) = refused.unwrap();
    assert_eq!(outcome, Err(StreamError::Deaf));
    assert!(count < 100_000, "{count}");
}
