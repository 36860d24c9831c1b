//! Handshakes that succeed.

use std::time::SystemTime;

use gridway_tunnel::RecordError;

use crate::support::{
    A, B, CA, DAY, End, converse, credentials, crl, issue, layers, load, open, request, seal,
};

#[test]
fn both_sides_learn_whom_they_speak_to() {
    let own = issue(&CA, &request(A));
    let (mut dial, mut accept) = (End::dial(&load(&own, A, None).unwrap(), B), End::accept(&credentials(B)));
    converse(&mut dial, &mut accept, usize::MAX);
    assert_eq!(accept.handshake.claimed_names(), [A]);
    let (dial, accept) = (dial.established().0, accept.established().0);
    let (far, near) = (dial.identity.unwrap(), accept.identity.unwrap());
    assert_eq!((far.dns_name.as_str(), near.dns_name.as_str()), (B, A));
    assert_eq!(near.serial, own.serial.as_bytes());
    assert_eq!((far.node_in("lab.example"), far.node_in("other.example")), (Some("gw-b"), None));
    let left = near.not_after.duration_since(SystemTime::now()).unwrap();
    assert!(left > DAY * 29 && left <= DAY * 30, "{left:?}");
}

#[test]
fn names_are_compared_without_regard_to_case() {
    let mut request = request(B);
    request.dns_names = vec!["GW-B.Lab.Example".to_owned()];
    let far = load(&issue(&CA, &request), B, None).unwrap();
    let (mut dial, mut accept) = (End::dial(&credentials(A), B), End::accept(&far));
    converse(&mut dial, &mut accept, usize::MAX);
    assert_eq!(dial.established().0.identity.unwrap().dns_name, B);
    assert!(accept.established().0.identity.is_ok());
}

#[test]
fn a_handshake_works_in_pieces_of_any_size() {
    for piece in [1, 2, 5, 100, 1000] {
        let (mut dial, mut accept) = (End::dial(&credentials(A), B), End::accept(&credentials(B)));
        converse(&mut dial, &mut accept, piece);
        let ((mut dial, _), (mut accept, _)) = (dial.established(), accept.established());
        let (plaintext, sealed) = seal(&mut dial.records, b"to the acceptor");
        assert_eq!(open(&mut accept.records, &sealed).unwrap().frames, plaintext);
        let (plaintext, sealed) = seal(&mut accept.records, b"to the dialler");
        assert_eq!(open(&mut dial.records, &sealed).unwrap().frames, plaintext);
    }
}

/// What the dialler has to say when its part of the handshake is over: its Finished, and two records.
fn finished_and_records(accept: &mut End) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut dial = End::dial(&credentials(A), B);
    accept.receive(&dial.take_output(), usize::MAX);
    dial.receive(&accept.take_output(), usize::MAX);
    let finished = dial.take_output();
    let (mut dial, _) = dial.established();
    let (first, record) = seal(&mut dial.records, b"first");
    let (second, other) = seal(&mut dial.records, &[7; 5000]);
    (finished, [record, other].concat(), [first, second].concat())
}

#[test]
fn records_behind_the_finished_are_handed_over_exactly() {
    let mut accept = End::accept(&credentials(B));
    let (finished, records, plaintext) = finished_and_records(&mut accept);
    accept.receive(&[finished, records.clone()].concat(), usize::MAX);
    let (mut accept, leftover) = accept.established();
    assert_eq!(leftover, records);
    assert_eq!(open(&mut accept.records, &leftover).unwrap().frames, plaintext);
}

#[test]
fn no_byte_is_lost_wherever_the_stream_is_cut() {
    let mut length = 0;
    for cut in [0, 1, 4, 5, 6, 20] {
        let mut accept = End::accept(&credentials(B));
        let (finished, records, plaintext) = finished_and_records(&mut accept);
        let stream = [finished.clone(), records.clone()].concat();
        let (now, later) = stream.split_at(finished.len() + cut);
        accept.receive(now, usize::MAX);
        accept.receive(later, 1);
        let (mut accept, bytes) = accept.established();
        assert_eq!(bytes, records, "cut {cut} bytes behind the handshake");
        assert_eq!(open(&mut accept.records, &bytes).unwrap().frames, plaintext);
        length = length.max(stream.len());
    }
    assert!(length > 5000);
}

#[test]
fn nothing_but_the_handshake_is_sent_before_the_first_record() {
    // No tickets: they would carry a revoked peer's chain past verification.
    let (mut dial, mut accept) = layers();
    let (plaintext, sealed) = seal(&mut accept, b"hello");
    assert_eq!(open(&mut dial, &sealed).unwrap().frames, plaintext);
}

#[test]
fn every_connection_has_keys_of_its_own() {
    let ((mut one, _), (_, mut other)) = (layers(), layers());
    let (_, sealed) = seal(&mut one, b"hello");
    assert!(matches!(open(&mut other, &sealed), Err(RecordError::Authentication)));
}

#[test]
fn a_revocation_list_that_names_others_lets_the_peer_in() {
    let stranger = issue(&CA, &request("gw-z.lab.example"));
    let list = crl(&[&stranger], SystemTime::now(), DAY);
    let [near, far] = [A, B].map(|name| load(&issue(&CA, &request(name)), name, Some(&list)).unwrap());
    let (mut dial, mut accept) = (End::dial(&near, B), End::accept(&far));
    converse(&mut dial, &mut accept, usize::MAX);
    assert!(dial.established().0.identity.is_ok() && accept.established().0.identity.is_ok());
}
