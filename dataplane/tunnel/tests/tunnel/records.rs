//! Records between two of our own, and records that are refused.

use gridway_tunnel::buffer::{HEADER_LEN, MAX_PLAINTEXT, MAX_RECORD};
use gridway_tunnel::record::record_len;
use gridway_tunnel::{RecordBuffer, RecordError, RecordLayer};

use crate::support::{layers, open, seal, update};

fn refused(layer: &mut RecordLayer, bytes: &[u8]) -> RecordError {
    open(layer, bytes).expect_err("the record must be refused")
}

#[test]
fn keys_change_under_load_in_both_directions() {
    let (mut one, mut other) = layers();
    one.set_update_after(2);
    other.set_update_after(5);
    for round in 0..500u32 {
        for (from, to) in [(0, 1), (1, 0)] {
            let ends = [&mut one, &mut other];
            if ends[from].update_due() {
                let record = update(ends[from]);
                assert_eq!(open(ends[to], &record).unwrap().updates_requested, 0);
            }
            let (plaintext, sealed) = seal(ends[from], &round.to_be_bytes());
            assert_eq!(open(ends[to], &sealed).unwrap().frames, plaintext);
        }
    }
    let (sent, received) = one.key_updates();
    assert!(sent >= 249 && received >= 99, "{sent} {received}");
    assert_eq!(other.key_updates(), (received, sent));
}

#[test]
fn a_record_under_the_old_key_is_refused_after_the_update() {
    let (mut one, mut other) = layers();
    let (_, late) = seal(&mut one, b"late");
    open(&mut other, &update(&mut one)).expect_err("it skips a record");
    let (mut one, mut other) = layers();
    let update = update(&mut one);
    open(&mut other, &update).unwrap();
    assert!(matches!(refused(&mut other, &late), RecordError::Authentication));
    assert!(matches!(refused(&mut other, &update), RecordError::Authentication));
}

#[test]
fn a_bit_changed_anywhere_is_noticed() {
    let (_, sealed) = seal(&mut layers().0, b"hello");
    for place in 0..sealed.len() {
        // The two length bytes change which bytes make up the record.
        if (3..5).contains(&place) {
            continue;
        }
        // A handshake for each: a refusal ends a connection.
        let (mut one, mut other) = layers();
        let (_, mut sealed) = seal(&mut one, b"hello");
        sealed[place] ^= 0x10;
        let error = refused(&mut other, &sealed);
        if place == 0 {
            assert!(matches!(error, RecordError::UnexpectedOuterType(_)), "{error:?}");
        } else {
            assert!(matches!(error, RecordError::Authentication), "byte {place}: {error:?}");
        }
    }
}

#[test]
fn truncated_replayed_reordered_and_lost_records_are_refused() {
    let (mut one, mut other) = layers();
    let (_, sealed) = seal(&mut one, b"hello");
    let mut short = sealed[..sealed.len() - 1].to_vec();
    short[4] -= 1;
    assert!(matches!(refused(&mut other, &short), RecordError::Authentication));

    let (mut one, mut other) = layers();
    let (_, sealed) = seal(&mut one, b"hello");
    open(&mut other, &sealed).unwrap();
    assert!(matches!(refused(&mut other, &sealed), RecordError::Authentication), "replayed");

    let (mut one, mut other) = layers();
    let [(_, _first), (_, second)] = [b"1", b"2"].map(|body| seal(&mut one, body));
    assert!(matches!(refused(&mut other, &second), RecordError::Authentication), "lost or reordered");

    let (mut one, _) = layers();
    let (_, own) = seal(&mut one, b"hello");
    assert!(matches!(refused(&mut one, &own), RecordError::Authentication), "reflected");
}

#[test]
fn empty_records_are_tolerated_and_their_flood_is_not() {
    let empty = |layer: &mut RecordLayer| {
        let mut record = RecordBuffer::new();
        layer.seal(&mut record).unwrap();
        record.sealed().to_vec()
    };
    let (mut one, mut other) = layers();
    for _ in 0..3 {
        for _ in 0..32 {
            assert!(open(&mut other, &empty(&mut one)).unwrap().frames.is_empty());
        }
        open(&mut other, &seal(&mut one, b"content").1).unwrap();
    }
    for _ in 0..32 {
        open(&mut other, &empty(&mut one)).unwrap();
    }
    assert!(matches!(refused(&mut other, &empty(&mut one)), RecordError::EmptyRecords));
}

#[test]
fn key_updates_without_data_between_them_are_a_flood() {
    let (mut one, mut other) = layers();
    for _ in 0..32 {
        open(&mut other, &update(&mut one)).unwrap();
    }
    assert!(matches!(refused(&mut other, &update(&mut one)), RecordError::EmptyRecords));
}

#[test]
fn the_longest_record_passes_and_a_longer_one_is_refused_by_its_header() {
    let (mut one, mut other) = layers();
    let (plaintext, sealed) = seal(&mut one, &[7; MAX_PLAINTEXT - 4]);
    assert_eq!((plaintext.len(), sealed.len()), (MAX_PLAINTEXT, MAX_RECORD));
    assert_eq!(open(&mut other, &sealed).unwrap().frames, plaintext);
    let header = |length: usize| {
        let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
        [23, 3, 3, high, low]
    };
    let longest = MAX_PLAINTEXT + 256;
    assert_eq!(record_len(&header(longest)).unwrap(), Some(HEADER_LEN + longest));
    assert!(matches!(record_len(&header(longest + 1)), Err(RecordError::TooLong(_))));
    assert!(matches!(record_len(&header(0)), Err(RecordError::TooShort(5))));
    assert!(matches!(record_len(&header(7)[..4]), Ok(None)));
}

#[test]
fn records_too_short_for_a_tag_are_refused() {
    for length in 1..=17u8 {
        let (_, mut other) = layers();
        let mut record = vec![23, 3, 3, 0, length];
        record.extend(vec![0; usize::from(length)]);
        assert!(matches!(refused(&mut other, &record), RecordError::Authentication));
    }
}

#[test]
fn only_application_data_is_an_outer_type_after_the_handshake() {
    for outer in [20, 21, 22, 24, 0, 255] {
        let (_, mut other) = layers();
        let error = refused(&mut other, &[outer, 3, 3, 0, 1, 1]);
        assert!(matches!(error, RecordError::UnexpectedOuterType(found) if found == outer), "{error:?}");
    }
}
