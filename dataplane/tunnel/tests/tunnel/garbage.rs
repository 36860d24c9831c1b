//! Input that is no handshake.

use std::sync::LazyLock;

use gridway_tunnel::record::record_len;
use gridway_tunnel::{Credentials, Handshake, HandshakeError, Progress};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{A, B, End, credentials};

static NEAR: LazyLock<Credentials> = LazyLock::new(|| credentials(A));
static FAR: LazyLock<Credentials> = LazyLock::new(|| credentials(B));

/// No handshake needs more, and none may make us keep more.
const LIMIT: usize = 64 * 1024;

/// Feeds bytes until the handshake ends; whether it ended, which can only be by an error.
fn ends(handshake: &mut Handshake, bytes: &[u8], piece: usize) -> bool {
    bytes.chunks(piece).any(|piece| match handshake.handle_input(piece) {
        Ok(Progress::Blocked) => false,
        Ok(Progress::Done(established)) => panic!("garbage is accepted: {:?}", established.identity),
        Err(_) => true,
    })
}

fn acceptor() -> Handshake {
    Handshake::accept(&FAR).unwrap()
}

fn dialler() -> Handshake {
    let mut handshake = Handshake::dial(&NEAR, B).unwrap();
    handshake.handle_input(&[]).unwrap();
    handshake
}

/// What a dialler sends first, and what it is answered.
fn hellos() -> (Handshake, Vec<u8>, Vec<u8>) {
    let mut dial = dialler();
    let hello = std::mem::take(dial.output());
    let mut accept = acceptor();
    accept.handle_input(&hello).unwrap();
    let answer = std::mem::take(accept.output());
    (dial, hello, answer)
}

/// Whether a byte is the type or version in the header of a record. rustls computes what it authenticates
/// instead of what it received (RFC 8446, 5.2: they are constants), so a change there may go unnoticed.
fn is_constant(flight: &[u8], place: usize) -> bool {
    let mut start = 0;
    while let Ok(Some(length)) = record_len(&flight[start..]) {
        if (start..start + length).contains(&place) {
            return (start..start + 3).contains(&place);
        }
        start += length;
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_bytes_never_panic_and_never_succeed(bytes in vec(any::<u8>(), 0..2000), piece in 1usize..2000) {
        ends(&mut acceptor(), &bytes, piece);
        ends(&mut dialler(), &bytes, piece);
    }

    #[test]
    fn random_records_never_panic_and_never_succeed(
        records in vec((20u8..=24, vec(any::<u8>(), 1..300)), 1..6),
        piece in 1usize..2000,
    ) {
        let bytes: Vec<u8> = records
            .iter()
            .flat_map(|(kind, body)| {
                let [high, low] = (body.len() as u16).to_be_bytes();
                [&[*kind, 3, 3, high, low][..], body].concat()
            })
            .collect();
        ends(&mut acceptor(), &bytes, piece);
        ends(&mut dialler(), &bytes, piece);
    }

    #[test]
    fn a_damaged_hello_never_panics(position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (mut dial, mut hello, mut answer) = hellos();
        let place = position.index(hello.len());
        hello[place] ^= 1 << bit;
        // A hello may be right with another random number in it: only the end of the handshake shows it.
        let _verdict = acceptor().handle_input(&hello);
        let intact = answer.clone();
        let place = position.index(answer.len());
        answer[place] ^= 1 << bit;
        match dial.handle_input(&answer) {
            Ok(Progress::Done(_)) => prop_assert!(is_constant(&intact, place), "byte {place} is damaged"),
            Ok(Progress::Blocked) | Err(_) => {}
        }
    }

    #[test]
    fn a_damaged_second_flight_never_panics(position in any::<prop::sample::Index>(), bit in 0u8..8, piece in 1usize..3000) {
        let (mut dial, mut accept) = (dialler(), acceptor());
        accept.handle_input(&std::mem::take(dial.output())).unwrap();
        let Ok(Progress::Done(_)) = dial.handle_input(&std::mem::take(accept.output())) else {
            panic!("the dialler is done first");
        };
        let mut flight = std::mem::take(dial.output());
        let intact = flight.clone();
        let place = position.index(flight.len());
        flight[place] ^= 1 << bit;
        for piece in flight.chunks(piece) {
            match accept.handle_input(piece) {
                Ok(Progress::Blocked) => {}
                Ok(Progress::Done(_)) => prop_assert!(is_constant(&intact, place), "byte {place} is damaged"),
                Err(_) => break,
            }
        }
    }

    #[test]
    fn messages_in_any_order_never_panic(order in vec(0usize..4, 1..6), piece in 1usize..3000) {
        let (mut dial, hello, answer) = hellos();
        dial.handle_input(&answer).unwrap();
        let flight = std::mem::take(dial.output());
        let alert = vec![21, 3, 3, 0, 2, 2, 40];
        let said = [hello, answer, flight, alert];
        for mut end in [acceptor(), dialler()] {
            let bytes: Vec<u8> = order.iter().flat_map(|which| said[*which].clone()).collect();
            ends(&mut end, &bytes, piece);
        }
    }

    #[test]
    fn the_length_of_a_record_is_found_or_refused(bytes in vec(any::<u8>(), 0..10)) {
        match record_len(&bytes) {
            Ok(Some(length)) => prop_assert!(bytes.len() >= 5 && (6..=5 + 16_384 + 256).contains(&length)),
            Ok(None) => prop_assert!(bytes.len() < 5),
            Err(_) => prop_assert!(bytes.len() >= 5),
        }
    }
}

#[test]
fn what_a_peer_may_make_us_keep_is_bounded() {
    let mut handshake = acceptor();
    let error = handshake.handle_input(&vec![22; LIMIT + 1]).unwrap_err();
    assert!(matches!(error, HandshakeError::TooMuchInput), "{error:?}");

    // Records of a handshake message that never ends.
    let mut handshake = acceptor();
    let mut record = vec![22, 3, 1, 0x40, 0];
    record.extend([1, 0xff, 0xff, 0xff]);
    record.resize(5 + 16_384, 0);
    let mut sent = 0;
    loop {
        sent += record.len();
        match handshake.handle_input(&record) {
            Ok(Progress::Blocked) => assert!(sent <= 2 * LIMIT, "{sent} bytes and no end"),
            Ok(Progress::Done(_)) => panic!("garbage is accepted"),
            Err(_) => break,
        }
        record[5..].fill(0);
    }
}

#[test]
fn an_http_request_is_refused_at_once() {
    let mut handshake = acceptor();
    let error = handshake.handle_input(b"GET / HTTP/1.1\r\nHost: gw-b\r\n\r\n").unwrap_err();
    assert!(matches!(error, HandshakeError::Framing(_)), "{error:?}");
}

#[test]
fn a_handshake_cut_short_is_not_over() {
    let (_, hello, answer) = hellos();
    for length in [0, 1, 4, 5, 6, hello.len() - 1] {
        let mut accept = acceptor();
        assert!(matches!(accept.handle_input(&hello[..length]), Ok(Progress::Blocked)), "{length}");
    }
    let (mut dial, ..) = hellos();
    // The answer to another hello: its records do not open under our keys.
    assert!(ends(&mut dial, &answer, usize::MAX));
    let mut dial = End::dial(&NEAR, B);
    dial.receive(&answer, usize::MAX);
    assert!(!dial.take_output().is_empty(), "the peer is told by an alert");
}
