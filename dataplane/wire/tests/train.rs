//! Segments that are put together and cut again are what they were.

use gridway_wire::generate::{SegmentSpec, through_train, without_identification};
use gridway_wire::train::{Offer, Train};
use proptest::prelude::*;

const ROOM: usize = 24;

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
    let mut train = Train::new(ROOM);
    assert!(train.begin(&packets[0]));
    let taken = packets[1..].iter().take_while(|packet| train.offer(packet) == Offer::Taken).count();
    assert!(train.is_full() && taken > 40, "{taken}");
    assert!(train.couple().0.len() - ROOM <= 65_535);
}

#[test]
fn what_differs_goes_by_itself() {
    let first = SegmentSpec::plain(1000, 500).packet(1);
    let next = SegmentSpec::plain(1500, 500);
    let offer = |spec: &SegmentSpec| {
        let mut train = Train::new(ROOM);
        assert!(train.begin(&first));
        train.offer(&spec.packet(2))
    };
    assert_eq!(offer(&next), Offer::Taken);
    assert_eq!(offer(&SegmentSpec { port: 1, ..next }), Offer::Other);
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
        assert_eq!(offer(&behind), Offer::Behind, "{behind:?}");
    }
    // An acknowledgement of another connection between the same hosts does not get in the way.
    assert_eq!(offer(&SegmentSpec { port: 1, len: 0, ..next }), Offer::Other);
    let mut train = Train::new(ROOM);
    for wrong in [&[][..], &[0x45], &[0x60; 60], &first[..first.len() - 1]] {
        assert!(!train.begin(wrong), "{wrong:?}");
        assert_eq!(train.offer(wrong), Offer::Other);
    }
    let corrupt = SegmentSpec { corrupt: true, ..SegmentSpec::plain(1000, 500) }.packet(1);
    assert!(train.begin(&corrupt));
    assert_eq!(train.offer(&next.packet(2)), Offer::Behind);
}

fn spec() -> impl Strategy<Value = (SegmentSpec, bool)> {
    // Mostly segments that fit, so that something comes together.
    let rare = || prop::bool::weighted(0.06);
    (prop::sample::select(vec![1_u16, 2]), 0_usize..3, rare(), rare(), rare(), rare(), rare(), rare(), rare())
        .prop_map(|(port, len, push, stamp, ttl, fragment, fin, corrupt, jump)| {
            let len = [100, 100, 40][len];
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
                *sequence = sequence.wrapping_add(u32::from(jump) * 1000);
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
