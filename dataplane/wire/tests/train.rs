//! Segments that are put together and cut again are what they were.

use gridway_wire::generate::{SegmentSpec, through_train, without_identification};
use gridway_wire::train::{Candidate, Limits, Offer, Train};
use proptest::prelude::*;

const ROOM: usize = 24;

fn train() -> Train {
    Train::new(ROOM, Limits { bytes: usize::MAX, segments: u32::MAX })
}

fn begin(train: &mut Train, packet: &[u8]) -> bool {
    Candidate::read(packet).is_some_and(|candidate| train.begin(&candidate))
}

/// What is no TCP is of no connection.
fn offer(train: &mut Train, packet: &[u8]) -> Offer {
    Candidate::read(packet).map_or(Offer::Other, |candidate| train.offer(&candidate))
}

fn is_the_same(left: &[Vec<u8>], packets: &[Vec<u8>]) {
    let plain = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
        packets.iter().map(|packet| without_identification(packet)).collect()
    };
    assert_eq!(plain(left), plain(packets));
}

#[test]
fn a_row_of_segments_is_one_packet() {
    for v6 in [false, true] {
        // The sequence number passes its end on the way.
        let segment = |n: u32| {
            let spec =
                SegmentSpec::plain((u32::MAX - 4000).wrapping_add(n * 1000), if n == 9 { 300 } else { 1000 });
            SegmentSpec { v6, push: n == 9, ..spec }.packet(7)
        };
        let packets: Vec<Vec<u8>> = (0..10).map(segment).collect();
        let (left, together) = through_train(&packets);
        assert_eq!(together, 10);
        is_the_same(&left, &packets);
    }
}

#[test]
fn nothing_is_longer_than_its_length_field() {
    let packets: Vec<Vec<u8>> = (0..60).map(|n| SegmentSpec::plain(n * 1400, 1400).packet(0)).collect();
    let mut row = train();
    assert!(begin(&mut row, &packets[0]));
    let taken = packets[1..].iter().take_while(|packet| offer(&mut row, packet) == Offer::Taken).count();
    assert!(row.is_full() && taken > 40, "{taken}");
    assert!(row.couple().0.len() - ROOM <= 65_535);
}

#[test]
fn what_differs_goes_by_itself() {
    let first = SegmentSpec::plain(1000, 500).packet(1);
    let next = SegmentSpec::plain(1500, 500);
    let behind_first = |spec: &SegmentSpec| {
        let mut row = train();
        assert!(begin(&mut row, &first));
        offer(&mut row, &spec.packet(2))
    };
    assert_eq!(behind_first(&next), Offer::Taken);
    assert_eq!(behind_first(&SegmentSpec { port: 1, ..next }), Offer::Other);
    for behind in [
        SegmentSpec { sequence: 1501, ..next },
        SegmentSpec { sequence: 1000, ..next },
        SegmentSpec { len: 501, ..next },
        SegmentSpec { len: 0, ..next },
        SegmentSpec { stamp: Some(8), ..next },
        SegmentSpec { stamp: None, ..next },
        SegmentSpec { ttl: 61, ..next },
        SegmentSpec { dont_fragment: false, ..next },
        SegmentSpec { window: 500, ..next },
        SegmentSpec { fin: true, ..next },
        SegmentSpec { corrupt: true, ..next },
    ] {
        assert_eq!(behind_first(&behind), Offer::Behind, "{behind:?}");
    }
    // An acknowledgement of another connection between the same hosts does not get in the way.
    assert_eq!(behind_first(&SegmentSpec { port: 1, len: 0, ..next }), Offer::Other);
    let mut row = train();
    for wrong in [&[][..], &[0x45], &[0x60; 60], &first[..first.len() - 1]] {
        assert!(!begin(&mut row, wrong), "{wrong:?}");
        assert_eq!(offer(&mut row, wrong), Offer::Other);
    }
    let corrupt = SegmentSpec { corrupt: true, ..SegmentSpec::plain(1000, 500) }.packet(1);
    assert!(begin(&mut row, &corrupt));
    assert_eq!(offer(&mut row, &next.packet(2)), Offer::Behind);
}

#[test]
fn limits_are_kept_and_what_is_short_begins_nothing() {
    let packets: Vec<Vec<u8>> = (0..9).map(|n| SegmentSpec::plain(n * 500, 500).packet(0)).collect();
    for (limits, most) in [
        (Limits { bytes: 20 + 32 + 3 * 500, segments: 9 }, 3),
        (Limits { bytes: 20 + 32 + 3 * 500 - 1, segments: 9 }, 2),
        (Limits { bytes: 65_535, segments: 4 }, 4),
    ] {
        let mut row = Train::new(ROOM, limits);
        assert!(begin(&mut row, &packets[0]));
        for packet in &packets[1..] {
            let taken = offer(&mut row, packet) == Offer::Taken;
            assert_eq!(row.is_full(), row.segments() == most);
            assert!(!taken || row.segments() <= most);
        }
        assert_eq!(row.segments(), most);
    }
    assert!(!begin(&mut train(), &SegmentSpec::plain(0, 255).packet(0)));
    assert!(begin(&mut train(), &SegmentSpec::plain(0, 256).packet(0)));
}

#[test]
fn connections_have_numbers() {
    let number = |spec: &SegmentSpec| Candidate::read(&spec.packet(1)).and_then(|packet| packet.connection());
    let first = SegmentSpec::plain(0, 500);
    assert!(number(&first).is_some());
    // Whatever its segments are; but not those of others.
    assert_eq!(number(&SegmentSpec { sequence: 7, len: 0, fin: true, ..first }), number(&first));
    assert_ne!(number(&SegmentSpec { port: 1, ..first }), number(&first));
    assert_ne!(number(&SegmentSpec { v6: true, ..first }), number(&first));
}

fn spec() -> impl Strategy<Value = (SegmentSpec, bool)> {
    // Mostly segments that fit, so that something comes together.
    let rare = || prop::bool::weighted(0.06);
    (prop::sample::select(vec![1_u16, 2]), 0_usize..3, rare(), rare(), rare(), rare(), rare(), rare(), rare())
        .prop_map(|(port, len, push, stamp, ttl, fragment, fin, corrupt, jump)| {
            let len = [1000, 1000, 400][len];
            let spec = SegmentSpec {
                port,
                push,
                stamp: Some(u32::from(stamp)),
                ttl: 60 + u8::from(ttl),
                dont_fragment: !fragment,
                fin,
                corrupt,
                ..SegmentSpec::plain(0, len)
            };
            (spec, jump)
        })
}

proptest! {
    #[test]
    fn what_leaves_is_what_came(specs in prop::collection::vec(spec(), 1..60), v6: bool, start: u32) {
        let mut next = [start; 3];
        let packets: Vec<Vec<u8>> = specs
            .into_iter()
            .enumerate()
            .map(|(n, (spec, jump))| {
                let sequence = &mut next[usize::from(spec.port)];
                *sequence = sequence.wrapping_add(u32::from(jump) * 5000);
                let spec = SegmentSpec { v6, sequence: *sequence, ..spec };
                *sequence = sequence.wrapping_add(spec.len as u32);
                spec.packet(n as u16)
            })
            .collect();
        let (left, _) = through_train(&packets);
        is_the_same(&left, &packets);
    }

    #[test]
    fn no_bytes_are_too_odd(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..10)) {
        let (left, _) = through_train(&packets);
        is_the_same(&left, &packets);
    }
}
