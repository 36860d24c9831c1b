//! The record layer against rustls' own: data, key updates, tickets, alerts, both as client and as server.

use gridway_tunnel::{RecordBuffer, RecordError, RecordLayer};
use rustls::AlertDescription;

use crate::stock::{Options, Stock, converse};
use crate::support::{A, B, CA, Contents, End, credentials, issue, open, request, seal, update};

/// Our record layer as client and as server, each with rustls on the other side.
fn pairs() -> [(RecordLayer, Stock); 2] {
    let (a, b) = (issue(&CA, &request(A)), issue(&CA, &request(B)));
    let mut dial = End::dial(&credentials(A), B);
    let mut server = Stock::server(&Options::with(&b));
    converse(&mut dial, &mut server);
    let mut accept = End::accept(&credentials(B));
    let mut client = Stock::client(&Options::with(&a), B);
    converse(&mut accept, &mut client);
    [(dial, server), (accept, client)].map(|(ours, stock)| {
        assert_eq!(stock.error, None);
        let (mut established, bytes) = ours.established();
        // Tickets of the stock server.
        open(&mut established.records, &bytes).expect("tickets are no error");
        (established.records, stock)
    })
}

/// One record each way.
fn exchange(ours: &mut RecordLayer, stock: &mut Stock, body: &[u8]) {
    let (plaintext, sealed) = seal(ours, body);
    stock.read.clear();
    stock.receive(&sealed);
    assert_eq!(stock.error, None);
    assert_eq!(stock.read, plaintext);
    let sealed = stock.send(body);
    assert_eq!(open(ours, &sealed).unwrap().frames, body);
}

#[test]
fn data_passes_in_records_of_every_size() {
    for (mut ours, mut stock) in pairs() {
        for length in [0, 1, 15, 16, 17, 1500, 16_379, 16_380] {
            exchange(&mut ours, &mut stock, &vec![0x5a; length]);
        }
        // Plaintext that ends in zeros is not padding.
        exchange(&mut ours, &mut stock, &[0; 100]);
    }
}

#[test]
fn our_key_updates_are_followed() {
    for (mut ours, mut stock) in pairs() {
        for round in 1..=3 {
            stock.receive(&update(&mut ours));
            exchange(&mut ours, &mut stock, b"under the next key");
            assert_eq!(ours.key_updates(), (round, 0));
        }
    }
}

#[test]
fn their_key_updates_are_followed_and_answered() {
    for (mut ours, mut stock) in pairs() {
        for round in 1..=3 {
            stock.connection.refresh_traffic_keys().unwrap();
            let contents = open(&mut ours, &stock.take_output()).unwrap();
            assert_eq!(contents, Contents { internal: 1, updates_requested: 1, ..Contents::default() });
            stock.receive(&update(&mut ours));
            exchange(&mut ours, &mut stock, b"under the next keys");
            assert_eq!(ours.key_updates(), (round, round));
        }
    }
}

#[test]
fn keys_change_under_load_without_a_record_lost() {
    for (mut ours, mut stock) in pairs() {
        ours.set_update_after(3);
        for round in 0..200u32 {
            if ours.update_due() {
                stock.receive(&update(&mut ours));
            }
            if round % 7 == 0 {
                stock.connection.refresh_traffic_keys().unwrap();
                assert_eq!(open(&mut ours, &stock.take_output()).unwrap().updates_requested, 1);
            }
            exchange(&mut ours, &mut stock, &round.to_be_bytes());
        }
        assert!(ours.key_updates().0 >= 60 && ours.key_updates().1 >= 28, "{:?}", ours.key_updates());
    }
}

#[test]
fn tickets_of_a_stock_server_are_ignored() {
    let b = issue(&CA, &request(B));
    let mut dial = End::dial(&credentials(A), B);
    let mut server = Stock::server(&Options::with(&b));
    converse(&mut dial, &mut server);
    let (mut established, bytes) = dial.established();
    let contents = open(&mut established.records, &bytes).unwrap();
    assert!(contents.internal > 0, "the server sent no ticket");
    assert_eq!(contents, Contents { internal: contents.internal, ..Contents::default() });
    exchange(&mut established.records, &mut server, b"business as usual");
}

#[test]
fn close_notify_is_understood_both_ways() {
    for (mut ours, mut stock) in pairs() {
        let mut record = RecordBuffer::new();
        ours.close_notify(&mut record).unwrap();
        stock.receive(record.sealed());
        assert_eq!(stock.error, None);
        let state = stock.connection.process_new_packets().unwrap();
        assert!(state.peer_has_closed());
        stock.connection.send_close_notify();
        assert!(open(&mut ours, &stock.take_output()).unwrap().closed);
    }
}

#[test]
fn a_fatal_alert_is_reported_by_its_name() {
    for (mut ours, mut stock) in pairs() {
        let (_, mut sealed) = seal(&mut ours, b"soon damaged");
        *sealed.last_mut().unwrap() ^= 1;
        stock.receive(&sealed);
        assert!(stock.error.is_some());
        let told = open(&mut ours, &stock.take_output());
        assert!(matches!(told, Err(RecordError::Alert(AlertDescription::BadRecordMac))), "{told:?}");
    }
}
