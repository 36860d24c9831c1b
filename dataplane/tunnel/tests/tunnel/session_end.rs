//! How connections end, and what each side is told.

use std::time::Duration;

use gridway_tunnel::{Closed, Event, RecordBuffer, Session, Source};
use gridway_wire::frame::{
    CloseReason, FrameError, FrameType, FrameWriter, Full, MAX_VNET_MAP_ENTRIES, VnetId, VnetMapEntry,
};

use crate::session::{START, introduce, options, sessions, spoken, tell, types, vnets};

fn frames(write: impl FnOnce(&mut FrameWriter<'_>) -> Result<(), Full>) -> Vec<u8> {
    let mut record = RecordBuffer::new();
    record.push_frames(write).expect("a few frames fit");
    record.plaintext().to_vec()
}

#[test]
fn silence_ends_the_connection_after_dead_after() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    let heard = START + Duration::from_millis(500);
    dialler.handle_record(&frames(|writer| writer.pong(0)), heard).unwrap();
    let dead = heard + Duration::from_secs(3);
    dialler.handle_timeout(dead - Duration::from_nanos(1)).unwrap();
    let ended = dialler.handle_timeout(dead).unwrap_err();
    assert_eq!(ended, Closed::Dead(Duration::from_secs(3)));
    assert_eq!(ended.notice(), None, "there is nobody to tell");
}

#[test]
fn whoever_follows_next_timeout_notices_the_end_in_time() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    let mut now = START;
    let mut steps = 0;
    let ended = loop {
        now = dialler.next_timeout().max(now);
        steps += 1;
        assert!(steps < 20, "time stands still");
        if let Err(ended) = dialler.handle_timeout(now) {
            break ended;
        }
    };
    assert_eq!((ended, now), (Closed::Dead(Duration::from_secs(3)), START + Duration::from_secs(3)));
}

#[test]
fn a_peer_that_does_not_introduce_itself_is_given_up_in_time() {
    for (dead_after, limit) in [(60, 5), (3, 3)] {
        let mut options = options("gw-a", true);
        (options.ping_interval, options.dead_after) =
            (Duration::from_secs(30), Duration::from_secs(dead_after));
        let mut session = Session::new(options, Vec::new(), START);
        let limit = START + Duration::from_secs(limit);
        assert!(session.next_timeout() <= limit, "nobody would look in time");
        session.handle_timeout(limit - Duration::from_nanos(1)).unwrap();
        let ended = session.handle_timeout(limit).unwrap_err();
        assert_eq!(ended, Closed::NoHello);
        assert_eq!(ended.notice(), Some(CloseReason::ProtocolError));
    }
}

#[test]
fn a_second_hello_is_refused() {
    let (mut dialler, mut acceptor) = sessions();
    let records = spoken(&mut dialler, START);
    acceptor.handle_record(&records[0], START).unwrap();
    let ended = acceptor.handle_record(&records[0], START).unwrap_err();
    assert!(matches!(ended, Closed::Order(_)), "{ended:?}");
    assert_eq!(ended.notice(), Some(CloseReason::ProtocolError));
}

#[test]
fn any_frame_but_close_before_the_hello_is_refused() {
    let entry = [VnetMapEntry { id: VnetId(0), name: "corp" }];
    let early: [Vec<u8>; 5] = [
        frames(|writer| writer.ping(1)),
        frames(|writer| writer.pong(1)),
        frames(|writer| writer.vnet_map(&entry).map(|_| ())),
        frames(|writer| writer.frame(FrameType::Unknown(99), 0, 0).map(|_| ())),
        {
            let mut record = RecordBuffer::new();
            record.push_packet(VnetId(0), &[0x45; 20], false).unwrap();
            record.plaintext().to_vec()
        },
    ];
    for record in early {
        let ended = sessions().1.handle_record(&record, START).unwrap_err();
        assert!(matches!(ended, Closed::Order(_)), "{ended:?}");
    }
}

#[test]
fn the_peer_is_told_why_and_says_so() {
    for reason in [CloseReason::None, CloseReason::NameMismatch, CloseReason::VersionMismatch] {
        let (mut dialler, mut acceptor) = sessions();
        introduce(&mut dialler, &mut acceptor);
        acceptor.close(reason, "because\u{1b}[31m");
        let ended = tell(&mut acceptor, &mut dialler, START).unwrap_err();
        let text = "because?[31m".to_owned();
        assert_eq!(ended, Closed::ByPeer { reason, text }, "no control character reaches a terminal");
        assert_eq!(ended.notice(), None);
        assert!(ended.to_string().contains("because"), "{ended}");
    }
}

#[test]
fn a_close_is_the_last_frame_and_needs_no_hello_before_it() {
    let (mut dialler, mut acceptor) = sessions();
    dialler.handle_timeout(START + Duration::from_secs(1)).unwrap();
    dialler.close(CloseReason::NameMismatch, "");
    let records = spoken(&mut dialler, START);
    assert_eq!(types(&records), [FrameType::Close]);
    let ended = acceptor.handle_record(&records[0], START).unwrap_err();
    assert!(matches!(ended, Closed::ByPeer { reason: CloseReason::NameMismatch, .. }), "{ended:?}");
}

#[test]
fn a_version_mismatch_is_clear_on_both_sides() {
    let (mut dialler, mut acceptor) = sessions();
    let mut hello = spoken(&mut dialler, START).remove(0);
    // The version is the first field of the hello's body.
    hello[4..6].copy_from_slice(&7u16.to_be_bytes());
    let ended = acceptor.handle_record(&hello, START).unwrap_err();
    assert_eq!(ended, Closed::Version { found: 7 });
    let notice = ended.notice().expect("the peer wants to know");
    assert_eq!(notice, CloseReason::VersionMismatch);
    acceptor.close(notice, &ended.to_string());
    let told = tell(&mut acceptor, &mut dialler, START).unwrap_err();
    let Closed::ByPeer { reason: CloseReason::VersionMismatch, text } = told else { panic!("{told:?}") };
    assert!(text.contains('7') && text.contains('1'), "{text}");
}

#[test]
fn frames_that_do_not_parse_end_the_connection() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    let mut record = frames(|writer| writer.ping(1));
    record.pop();
    let ended = acceptor.handle_record(&record, START).unwrap_err();
    assert!(matches!(ended, Closed::Frame(FrameError::TruncatedFrame { .. })), "{ended:?}");
    assert_eq!(ended.notice(), Some(CloseReason::ProtocolError));
}

#[test]
fn a_map_without_end_is_refused() {
    let (mut dialler, mut acceptor) = sessions();
    introduce(&mut dialler, &mut acceptor);
    let vnets = vnets(200);
    let entries: Vec<_> = vnets.iter().map(|(id, name)| VnetMapEntry { id: *id, name }).collect();
    let mut record = frames(|writer| writer.vnet_map(&entries).map(|_| ()));
    // The flag that says: the map goes on.
    record[1] = 1;
    let mut entries = 0;
    let ended = loop {
        match acceptor.handle_record(&record, START) {
            Ok(()) => entries += 200,
            Err(ended) => break ended,
        }
        assert!(entries <= MAX_VNET_MAP_ENTRIES);
    };
    assert!(matches!(ended, Closed::Order(_)), "{ended:?}");
    assert!(!matches!(acceptor.poll_event(), Some(Event::VnetMap(_))));
}
