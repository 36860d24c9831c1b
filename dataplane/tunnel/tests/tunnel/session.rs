//! What two sessions say to each other, under a clock that the test holds.

use std::time::Duration;

use gridway_tunnel::{Closed, Event, PeerHello, RecordBuffer, Session, SessionOptions, Source};
use gridway_wire::frame::{ConnectionKind, FrameReader, FrameType, StreamFrame, StreamId, VnetId};
use gridway_wire::time::Nanos;

pub(crate) const START: Nanos = Nanos(5_000_000_000);

pub(crate) fn options(node: &str, dialled: bool) -> SessionOptions {
    SessionOptions {
        node: node.to_owned(),
        instance: [node.len() as u8; 16],
        dialled,
        index: if dialled { 1 } else { 0 },
        count: if dialled { 2 } else { 1 },
        kind: ConnectionKind::Packets,
        data_mtu: 1500,
        ping_interval: Duration::from_secs(1),
        dead_after: Duration::from_secs(3),
    }
}

/// Two sessions, the first of which dialled.
pub(crate) fn sessions() -> (Session, Session) {
    (
        Session::new(options("gw-a", true), vnets(2), START),
        Session::new(options("gw-bb", false), vnets(1), START),
    )
}

pub(crate) fn vnets(count: u16) -> Vec<(VnetId, String)> {
    (0..count).map(|n| (VnetId(n), format!("vnet-{n}-{}", "x".repeat(40)))).collect()
}

/// Everything a session has to say, record by record.
pub(crate) fn spoken(session: &mut Session, now: Nanos) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while session.owes() {
        let mut record = RecordBuffer::new();
        session.write_owed(&mut record, now);
        assert!(!record.is_empty(), "what is owed is written");
        records.push(record.plaintext().to_vec());
        assert!(records.len() < 50, "it never ends");
    }
    records
}

/// Carries what `from` has to say to `to`.
pub(crate) fn tell(from: &mut Session, to: &mut Session, now: Nanos) -> Result<(), Closed> {
    spoken(from, now).iter().try_for_each(|record| to.handle_record(record, now))
}

/// Hellos and vnet maps both ways; both accept.
pub(crate) fn introduce(dialler: &mut Session, acceptor: &mut Session) {
    tell(dialler, acceptor, START).unwrap();
    acceptor.accept();
    tell(acceptor, dialler, START).unwrap();
    dialler.accept();
    while dialler.poll_event().is_some() || acceptor.poll_event().is_some() {}
}

pub(crate) fn types(records: &[Vec<u8>]) -> Vec<FrameType> {
    records
        .iter()
        .flat_map(|record| FrameReader::new(record))
        .map(|frame| match frame.unwrap() {
            gridway_wire::frame::Frame::Hello(_) => FrameType::Hello,
            gridway_wire::frame::Frame::VnetMap(_) => FrameType::VnetMap,
            gridway_wire::frame::Frame::Packets(_) => FrameType::Packets,
            gridway_wire::frame::Frame::Ping(_) => FrameType::Ping,
            gridway_wire::frame::Frame::Pong(_) => FrameType::Pong,
            gridway_wire::frame::Frame::Close(_) => FrameType::Close,
            gridway_wire::frame::Frame::Stream(frame) => panic!("no stream was opened: {frame:?}"),
            gridway_wire::frame::Frame::Other { frame_type, .. } => frame_type,
        })
        .collect()
}

#[test]
fn each_side_learns_the_other_ones_hello_then_its_vnets() {
    let (mut dialler, mut acceptor) = sessions();
    assert!(!acceptor.owes(), "the dialler speaks first");
    tell(&mut dialler, &mut acceptor, START).unwrap();
    let hello = PeerHello {
        node: "gw-a".to_owned(),
        instance: [4; 16],
        index: 1,
        kind: ConnectionKind::Packets,
        data_mtu: 1500,
    };
    assert_eq!(acceptor.poll_event(), Some(Event::Hello(hello)));
    assert_eq!(acceptor.poll_event(), Some(Event::VnetMap(vnets(2))));
    assert_eq!(acceptor.poll_event(), None);
    assert!(!acceptor.is_up(), "up only when the owner accepts");
    acceptor.accept();
    assert!(acceptor.is_up());

    tell(&mut acceptor, &mut dialler, START).unwrap();
    let Some(Event::Hello(hello)) = dialler.poll_event() else { panic!("the hello comes first") };
    assert_eq!((hello.node.as_str(), hello.index), ("gw-bb", 1), "the acceptor answers with the same number");
    assert_eq!(dialler.poll_event(), Some(Event::VnetMap(vnets(1))));
}

#[test]
fn nothing_is_owed_twice() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    assert!(!dialler.owes() && !acceptor.owes());
    let mut record = RecordBuffer::new();
    dialler.write_owed(&mut record, START);
    assert!(record.is_empty());
}

#[test]
fn a_vnet_map_of_many_records_arrives_as_one() {
    let mut dialler = Session::new(options("gw-a", true), vnets(1000), START);
    let (_, mut acceptor) = sessions();
    let records = spoken(&mut dialler, START);
    assert!(records.len() > 2, "{} records", records.len());
    for (number, record) in records.iter().enumerate() {
        acceptor.handle_record(record, START).unwrap();
        let map =
            std::iter::from_fn(|| acceptor.poll_event()).find(|event| matches!(event, Event::VnetMap(_)));
        let expected = (number + 1 == records.len()).then(|| Event::VnetMap(vnets(1000)));
        assert_eq!(map, expected, "record {number}");
    }
}

#[test]
fn a_new_map_replaces_the_old_one_even_when_that_was_half_said() {
    let mut dialler = Session::new(options("gw-a", true), vnets(1000), START);
    let (_, mut acceptor) = sessions();
    let mut record = RecordBuffer::new();
    dialler.write_owed(&mut record, START);
    acceptor.handle_record(record.plaintext(), START).unwrap();
    dialler.announce(vnets(3));
    tell(&mut dialler, &mut acceptor, START).unwrap();
    let last = std::iter::from_fn(|| acceptor.poll_event()).last();
    assert_eq!(last, Some(Event::VnetMap(vnets(3))));
}

#[test]
fn only_the_latest_map_waits_for_the_owner() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    for count in 1..100 {
        dialler.announce(vnets(count));
        tell(&mut dialler, &mut acceptor, START).unwrap();
    }
    assert_eq!(acceptor.poll_event(), Some(Event::VnetMap(vnets(99))));
    assert_eq!(acceptor.poll_event(), None);
}

#[test]
fn what_does_not_fit_behind_packets_goes_into_the_next_record() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    dialler.handle_timeout(START + Duration::from_secs(1)).unwrap();
    let mut full = RecordBuffer::new();
    while full.push_packet(VnetId(0), &[0x45; 100], Source::Local).is_ok() {}
    while full.push_packet(VnetId(0), &[0x45; 1], Source::Local).is_ok() {}
    let before = full.plaintext().to_vec();
    dialler.write_owed(&mut full, START);
    assert_eq!(full.plaintext(), before);
    assert!(dialler.owes());
    assert_eq!(types(&spoken(&mut dialler, START)), [FrameType::Ping]);
}

#[test]
fn a_ping_is_answered_and_its_round_trip_measured() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    let mut now = START + Duration::from_secs(1);
    assert_eq!(dialler.next_timeout(), now);
    dialler.handle_timeout(now).unwrap();
    let ping = spoken(&mut dialler, now);
    assert_eq!(types(&ping), [FrameType::Ping]);
    now = now + Duration::from_millis(20);
    acceptor.handle_record(&ping[0], now).unwrap();
    now = now + Duration::from_millis(3);
    let pong = spoken(&mut acceptor, now);
    assert_eq!(types(&pong), [FrameType::Pong]);
    now = now + Duration::from_millis(20);
    dialler.handle_record(&pong[0], now).unwrap();
    assert_eq!(dialler.poll_event(), Some(Event::RoundTrip(Duration::from_millis(43))));
    assert_eq!(acceptor.poll_event(), None);
}

#[test]
fn pings_go_out_once_an_interval() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    let mut pings = 0;
    for tenth in 1..=100 {
        let now = START + Duration::from_millis(100) * tenth;
        for session in [&mut dialler, &mut acceptor] {
            session.handle_timeout(now).unwrap();
        }
        let records = spoken(&mut dialler, now);
        pings += types(&records).iter().filter(|kind| **kind == FrameType::Ping).count();
        records.iter().for_each(|record| acceptor.handle_record(record, now).unwrap());
        tell(&mut acceptor, &mut dialler, now).unwrap();
    }
    assert_eq!(pings, 10);
}

#[test]
fn a_pong_with_a_token_of_the_future_is_a_round_trip_of_zero() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    let mut record = RecordBuffer::new();
    record.push_frames(|writer| writer.pong(u64::MAX)).unwrap();
    dialler.handle_record(record.plaintext(), START).unwrap();
    assert_eq!(dialler.poll_event(), Some(Event::RoundTrip(Duration::ZERO)));
}

#[test]
fn unknown_frames_are_skipped_and_counted() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    let mut record = RecordBuffer::new();
    record
        .push_frames(|writer| {
            writer.frame(FrameType::Unknown(99), 0, 10)?;
            writer.frame(FrameType::ChannelKeys, 0, 0)?;
            writer.ping(1)
        })
        .unwrap();
    acceptor.handle_record(record.plaintext(), START).unwrap();
    assert_eq!((acceptor.take_unknown_frames(), acceptor.take_unknown_frames()), (2, 0));
    assert!(acceptor.owes(), "the frame behind them was read");
}

#[test]
fn a_connection_carries_what_its_dialler_said_and_nothing_else() {
    let streams = SessionOptions { kind: ConnectionKind::Streams, ..options("gw-a", true) };
    let mut dialler = Session::new(streams, vnets(2), START);
    let mut acceptor = Session::new(options("gw-bb", false), vnets(1), START);
    introduce(&mut dialler, &mut acceptor);
    assert_eq!([dialler.kind(), acceptor.kind()], [ConnectionKind::Streams; 2]);
    dialler.announce(vnets(3));
    assert!(!dialler.owes() && !acceptor.owes(), "vnets are of packets");
    let mut stream = RecordBuffer::new();
    stream.push_frames(|writer| writer.stream(&StreamFrame::Finish(StreamId(1)))).unwrap();
    let mut packet = RecordBuffer::new();
    packet.push_packet(VnetId(1), &[0x45; 20], Source::Local).unwrap();
    acceptor.handle_record(stream.plaintext(), START).unwrap();
    assert!(matches!(acceptor.handle_record(packet.plaintext(), START), Err(Closed::Order(_))));
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    acceptor.handle_record(packet.plaintext(), START).unwrap();
    assert!(matches!(acceptor.handle_record(stream.plaintext(), START), Err(Closed::Order(_))));
}
