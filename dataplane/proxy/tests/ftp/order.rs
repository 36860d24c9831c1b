//! Replies come in the order of the commands.

use gridway_proxy::ftp::session::{Session, Site};
use gridway_proxy::ftp::{Far, FarEvent, Near, NearEvent, Output};

use crate::support::{NOW, client_received, greeted, server_received};

const TLS: &str = "502 TLS is not supported through this connector; the tunnel encrypts.\r\n";

#[test]
fn a_local_reply_waits_for_the_greeting() {
    let mut session = Session::new(Site::new(false, false));
    session.client_sends(b"AUTH TLS\r\n");
    assert_eq!(client_received(&mut session), "");
    session.server_sends(b"220-Hello\r\n");
    assert_eq!(client_received(&mut session), "220-Hello\r\n");
    session.server_sends(b"220 ready\r\n");
    assert_eq!(client_received(&mut session), format!("220 ready\r\n{TLS}"));
}

#[test]
fn local_replies_keep_their_place_between_the_servers() {
    let mut session = greeted();
    session.client_sends(b"AUTH TLS\r\nNOOP\r\nAUTH TLS\r\nAUTH TLS\r\nRETR x\r\nAUTH TLS\r\n");
    assert_eq!(server_received(&mut session), "NOOP\r\nRETR x\r\n");
    assert_eq!(client_received(&mut session), TLS);
    session.server_sends(b"200 ok\r\n150 here it comes\r\n");
    assert_eq!(client_received(&mut session), format!("200 ok\r\n{TLS}{TLS}150 here it comes\r\n"));
    session.server_sends(b"226 done\r\n");
    assert_eq!(client_received(&mut session), format!("226 done\r\n{TLS}"));
}

#[test]
fn a_local_reply_does_not_break_into_one_that_nobody_asked_for() {
    let mut session = greeted();
    session.server_sends(b"211-News\r\n");
    session.client_sends(b"AUTH TLS\r\n");
    assert_eq!(client_received(&mut session), "211-News\r\n");
    session.server_sends(b"211 End\r\n");
    assert_eq!(client_received(&mut session), format!("211 End\r\n{TLS}"));
}

#[test]
fn replies_wait_for_the_listener() {
    let mut near = Near::new("10.1.0.2:40000".parse().unwrap());
    let mut out = Output::default();
    near.client_bytes(b"PASV\r\nAUTH TLS\r\nEPSV\r\nNOOP\r\n", NOW, &mut out).unwrap();
    near.server_bytes(b"220 ready\r\n227 (10,2,0,2,8,0)\r\n229 (|||2049|)\r\n200 o", NOW, &mut out).unwrap();
    assert!(near.server_blocked());
    assert_eq!(out.to_client, b"220 ready\r\n");
    assert_eq!(out.events, [NearEvent::Passive { far_port: 2048 }]);
    near.server_bytes(b"k\r\n", NOW, &mut out).unwrap();
    near.client_bytes(b"CCC\r\n", NOW, &mut out).unwrap();
    assert_eq!(out.to_client, b"220 ready\r\n", "nothing passes what waits");
    out = Output::default();
    near.passive_listening("10.1.0.1:51000".parse().unwrap(), NOW, &mut out).unwrap();
    let wanted = format!("227 Entering Passive Mode (10,1,0,1,199,56).\r\n{TLS}");
    assert_eq!(out.to_client, wanted.as_bytes());
    assert_eq!(out.events, [NearEvent::Passive { far_port: 2049 }]);
    out = Output::default();
    near.passive_listening("10.1.0.1:51001".parse().unwrap(), NOW, &mut out).unwrap();
    assert!(!near.server_blocked());
    let wanted = format!("229 Entering Extended Passive Mode (|||51001|)\r\n200 ok\r\n{TLS}");
    assert_eq!(out.to_client, wanted.as_bytes());
}

#[test]
fn commands_wait_for_the_listener() {
    let mut far = Far::new(false);
    let mut out = Output::default();
    far.client_bytes(b"NOOP\r\nPORT 10,1,0,2,195,80\r\nSTOR x\r\nPO", NOW, &mut out).unwrap();
    assert!(far.client_blocked());
    assert_eq!(out.to_server, b"NOOP\r\n");
    far.client_bytes(b"RT 10,1,0,2,195,81\r\nNOOP\r\n", NOW, &mut out).unwrap();
    far.server_bytes(b"220 ready\r\n200 ok\r\n", NOW, &mut out).unwrap();
    assert_eq!((&out.to_server[..], &out.to_client[..]), (&b"NOOP\r\n"[..], &b"220 ready\r\n200 ok\r\n"[..]));
    out = Output::default();
    far.active_listening("10.2.0.1:52000".parse().unwrap(), NOW, &mut out).unwrap();
    assert_eq!(out.to_server, b"PORT 10,2,0,1,203,32\r\nSTOR x\r\n");
    assert_eq!(out.events, [FarEvent::Active { client: "10.1.0.2:50001".parse().unwrap() }]);
    out = Output::default();
    far.active_failed(NOW, &mut out).unwrap();
    assert!(!far.client_blocked());
    assert_eq!((&out.to_server[..], &out.to_client[..]), (&b"NOOP\r\n"[..], &b""[..]));
    far.server_bytes(b"200 port\r\n150 go\r\n226 done\r\n200 noop\r\n", NOW, &mut out).unwrap();
    let wanted = "200 port\r\n150 go\r\n226 done\r\n425 Can't open data connection.\r\n200 noop\r\n";
    assert_eq!(out.to_client, wanted.as_bytes());
}

#[test]
fn an_answer_without_a_question_changes_nothing() {
    let mut session = greeted();
    let mut near = Output::default();
    session.near.passive_listening("10.1.0.1:51000".parse().unwrap(), NOW, &mut near).unwrap();
    assert_eq!(near, Output::default());
    let mut far = Output::default();
    session.far.active_failed(NOW, &mut far).unwrap();
    assert_eq!(far, Output::default());
}
