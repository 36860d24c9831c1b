//! Memory and time that a session can claim.

use std::time::Duration;

use gridway_proxy::ftp::{
    Far, FtpError, INPUT_LIMIT, LINE_LIMIT, MEMORY_LIMIT, Near, OUTSTANDING_LIMIT, Output,
};
use gridway_wire::time::Nanos;

use crate::support::{NOW, client_received, greeted};

#[test]
fn a_line_has_a_limit() {
    let command = |length: usize, end: &[u8]| [b"RETR ", &vec![b'a'; length - 7][..], end].concat();
    let longest = command(LINE_LIMIT, b"\r\n");
    let mut session = greeted();
    session.client_sends(&[&longest[..], &command(LINE_LIMIT, b"\n")].concat());
    assert_eq!(session.error, None);
    assert_eq!(session.server, longest.repeat(2));
    for end in [&b"\r\n"[..], b"\n"] {
        let mut session = greeted();
        session.client_sends(&command(LINE_LIMIT + 1, end));
        assert_eq!(session.error, Some(FtpError::CommandTooLong));
        assert!(client_received(&mut session).starts_with("500 "));
    }

    let reply = |length: usize| [b"200 ", &vec![b'a'; length - 6][..], b"\r\n"].concat();
    let mut session = greeted();
    session.server_sends(&reply(LINE_LIMIT));
    assert_eq!((session.error, session.client.len()), (None, LINE_LIMIT));
    session.server_sends(&reply(LINE_LIMIT + 1));
    assert_eq!(session.error, Some(FtpError::ReplyTooLong));
}

#[test]
fn commands_without_replies_have_a_limit() {
    let mut session = greeted();
    session.client_sends(&b"NOOP\r\n".repeat(OUTSTANDING_LIMIT));
    assert_eq!(session.error, None);
    session.server_sends(b"200 ok\r\n");
    session.client_sends(b"NOOP\r\nAUTH TLS\r\n");
    assert_eq!(session.error, Some(FtpError::TooManyCommands));
    assert!(
        client_received(&mut session)
            .ends_with("421 Too many commands without reply; closing control connection.\r\n")
    );
}

#[test]
fn what_waits_has_a_limit() {
    let mut near = Near::new("10.1.0.2:40000".parse().unwrap());
    let mut out = Output::default();
    near.client_bytes(b"PASV\r\n", NOW, &mut out).unwrap();
    near.server_bytes(b"220 ready\r\n227 (10,2,0,2,8,0)\r\n", NOW, &mut out).unwrap();
    near.server_bytes(&[b'2'; INPUT_LIMIT], NOW, &mut out).unwrap();
    assert!(near.held() <= MEMORY_LIMIT);
    assert_eq!(near.server_bytes(b"2", NOW, &mut out), Err(FtpError::Overrun));

    let mut far = Far::new(false);
    let mut out = Output::default();
    far.client_bytes(b"PORT 10,1,0,2,195,80\r\n", NOW, &mut out).unwrap();
    far.client_bytes(&[b'A'; INPUT_LIMIT], NOW, &mut out).unwrap();
    assert!(far.held() <= MEMORY_LIMIT);
    assert_eq!(far.client_bytes(b"A", NOW, &mut out), Err(FtpError::Overrun));
}

#[test]
fn a_session_that_has_ended_stays_so() {
    let mut session = greeted();
    session.client_sends(b"PASV\r\n");
    session.client_sends(b"\0");
    let mut out = Output::default();
    for _ in 0..2 {
        assert_eq!(session.near.client_bytes(b"NOOP\r\n", NOW, &mut out), Err(FtpError::CommandByte(0)));
        assert_eq!(session.near.server_bytes(b"200 ok\r\n", NOW, &mut out), Err(FtpError::CommandByte(0)));
        assert_eq!(session.near.passive_failed(NOW, &mut out), Err(FtpError::CommandByte(0)));
    }
    assert_eq!(out, Output::default());
}

#[test]
fn a_line_that_was_begun_has_its_time() {
    let at = |seconds| Nanos::default() + Duration::from_secs(seconds);
    let mut near = Near::new("10.1.0.2:40000".parse().unwrap());
    let mut out = Output::default();
    assert_eq!(near.partial_since(), None);
    near.client_bytes(b"NO", at(1), &mut out).unwrap();
    near.client_bytes(b"O", at(2), &mut out).unwrap();
    assert_eq!(near.partial_since(), Some(at(1)));
    near.client_bytes(b"P\r\nNO", at(3), &mut out).unwrap();
    near.server_bytes(b"220 rea", at(4), &mut out).unwrap();
    assert_eq!(near.partial_since(), Some(at(3)));
    near.client_bytes(b"OP\r\n", at(5), &mut out).unwrap();
    assert_eq!(near.partial_since(), Some(at(4)));
    near.server_bytes(b"dy\r\n", at(6), &mut out).unwrap();
    assert_eq!(near.partial_since(), None);
}
