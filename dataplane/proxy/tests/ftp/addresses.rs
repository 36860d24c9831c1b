//! Who may be named, by whom.

use gridway_proxy::ftp::session::{Session, Site};
use gridway_proxy::ftp::{Far, FarEvent, FtpError, Near, NearEvent, Output};

use crate::support::{NOW, client_received, greeted, server_received};

/// The local reply to a command of a client over IPv4 or IPv6.
fn refusal(client_is_ipv6: bool, command: &str) -> String {
    let mut session = Session::new(Site::new(client_is_ipv6, client_is_ipv6));
    session.server_sends(b"220 ready\r\n");
    session.client.clear();
    session.client_sends(format!("{command}\r\n").as_bytes());
    assert_eq!(server_received(&mut session), "", "{command}");
    assert_eq!((&session.error, &session.far_events[..]), (&None, &[][..]), "{command}");
    assert_eq!(session.near.active_endpoint(), None, "{command}");
    client_received(&mut session)
}

#[test]
fn a_client_names_nobody_but_itself() {
    for (is_ipv6, command, code) in [
        (false, "PORT 10,1,0,3,195,80", "504"),
        (false, "PORT 10,1,0,2,3,255", "504"),
        (false, "PORT 10,1,0,2,0,22", "504"),
        (false, "PORT 10,1,0,2,195", "501"),
        (false, "PORT", "501"),
        (false, "port  10,1,0,2,195,80", "501"),
        (false, "EPRT |1|10.1.0.3|50000|", "504"),
        (false, "EPRT |1|10.1.0.2|1023|", "504"),
        (false, "EPRT |2|::ffff:10.1.0.2|50000|", "522"),
        (false, "EPRT |3|10.1.0.2|50000|", "522"),
        (false, "EPRT 10.1.0.2", "501"),
        (false, "EPSV 2", "522"),
        (false, "EPSV 3", "522"),
        (false, "EPSV on", "501"),
        (false, "PASV now", "501"),
        (true, "PASV", "502"),
        (true, "PORT 10,1,0,2,195,80", "522"),
        (true, "EPRT |2|fd00:1::3|50000|", "504"),
        (true, "EPSV 1", "522"),
    ] {
        let reply = refusal(is_ipv6, command);
        assert!(reply.starts_with(code) && reply.ends_with("\r\n"), "{command}: {reply}");
    }
    assert_eq!(refusal(false, "EPSV 2"), "522 Network protocol not supported, use (1).\r\n");
    assert_eq!(refusal(true, "EPSV 1"), "522 Network protocol not supported, use (2).\r\n");
}

#[test]
fn a_mapped_client_is_an_ipv4_one() {
    let mut near = Near::new("[::ffff:10.1.0.2]:40000".parse().unwrap());
    let mut out = Output::default();
    near.client_bytes(b"PORT 10,1,0,2,195,80\r\n", NOW, &mut out).unwrap();
    assert_eq!(out.to_server, b"PORT 10,1,0,2,195,80\r\n");
    near.server_bytes(b"220 ready\r\n200 ok\r\n", NOW, &mut out).unwrap();
    near.client_bytes(b"PASV\r\n", NOW, &mut out).unwrap();
    near.server_bytes(b"227 (10,2,0,2,8,0)\r\n", NOW, &mut out).unwrap();
    out.to_client.clear();
    near.passive_listening("[::ffff:10.1.0.1]:51000".parse().unwrap(), NOW, &mut out).unwrap();
    assert_eq!(out.to_client, b"227 Entering Passive Mode (10,1,0,1,199,56).\r\n");
}

#[test]
fn a_link_local_client_is_reached_over_its_interface() {
    let client: std::net::SocketAddrV6 = "[fe80::2%7]:40000".parse().unwrap();
    let mut near = Near::new(client.into());
    let mut out = Output::default();
    near.client_bytes(b"EPRT |2|fe80::2|50000|\r\n", NOW, &mut out).unwrap();
    assert_eq!(out.to_server, b"EPRT |2|fe80::2|50000|\r\n");
    assert_eq!(near.active_endpoint(), Some("[fe80::2%7]:50000".parse().unwrap()));
}

#[test]
fn the_last_of_port_and_pasv_counts() {
    let mut session = greeted();
    session.client_sends(b"PORT 10,1,0,2,195,80\r\n");
    assert_eq!(session.near.active_endpoint(), Some("10.1.0.2:50000".parse().unwrap()));
    session.client_sends(b"PORT 10,1,0,3,195,80\r\n");
    assert_eq!(session.near.active_endpoint(), Some("10.1.0.2:50000".parse().unwrap()));
    session.client_sends(b"EPSV\r\n");
    assert_eq!(session.near.active_endpoint(), None);
}

#[test]
fn after_epsv_all_there_is_only_epsv() {
    let mut session = greeted();
    session.client_sends(b"epsv all\r\nPASV\r\n");
    assert_eq!(server_received(&mut session), "epsv all\r\n");
    session.server_sends(b"200 EPSV ALL ok.\r\n");
    assert_eq!(client_received(&mut session), "200 EPSV ALL ok.\r\n501 Not allowed after EPSV ALL.\r\n");
    session.client_sends(b"PORT 10,1,0,2,195,80\r\nEPRT |1|10.1.0.2|50000|\r\nEPSV\r\n");
    assert_eq!(client_received(&mut session), "501 Not allowed after EPSV ALL.\r\n".repeat(2));
    assert_eq!(server_received(&mut session), "EPSV\r\n");
}

#[test]
fn a_server_that_does_not_know_epsv_all_leaves_pasv() {
    let mut session = greeted();
    session.client_sends(b"EPSV ALL\r\n");
    session.server_sends(b"501 What?\r\n");
    session.client_sends(b"PASV\r\n");
    assert_eq!(server_received(&mut session), "EPSV ALL\r\nPASV\r\n");
    assert_eq!(client_received(&mut session), "501 What?\r\n");
}

#[test]
fn the_far_node_trusts_the_near_one_with_nothing() {
    let mut far = Far::new(false);
    let mut out = Output::default();
    far.server_bytes(b"220 ready\r\n", NOW, &mut out).unwrap();
    out.to_client.clear();
    far.client_bytes(b"AUTH TLS\r\nPORT 10,9,9,9,0,25\r\nLPSV\r\nEPSV ALL\r\nPASV\r\n", NOW, &mut out)
        .unwrap();
    far.server_bytes(b"200 ok\r\n", NOW, &mut out).unwrap();
    assert_eq!(out.to_server, b"EPSV ALL\r\n");
    let replies = String::from_utf8(out.to_client).unwrap();
    let codes: Vec<_> = replies.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["502", "504", "502", "200", "501"]);
    assert_eq!(out.events, []);
}

#[test]
fn the_servers_own_words_do_not_lead_elsewhere() {
    let mut session = greeted();
    session.client_sends(b"PASV\r\n");
    session.server_sends(b"227 Entering Passive Mode (10,99,99,99,195,80).\r\n");
    assert_eq!(session.far_events, [FarEvent::Announced { port: 50000 }]);
    assert_eq!(session.near_events, [NearEvent::Passive { far_port: 50000 }]);
    for (reply, error) in [
        ("227 (10,2,0,2,0,22)", FtpError::PassivePort(22)),
        ("229 (|||1023|)", FtpError::PassivePort(1023)),
        ("229 (|||0|)", FtpError::PassivePort(0)),
        ("227 at your service", FtpError::NoPassivePort(227)),
        ("228 (10,2,0,2,8,0)", FtpError::NoPassivePort(228)),
    ] {
        let mut session = greeted();
        session.client_sends(b"PASV\r\n");
        session.server_sends(format!("{reply}\r\n").as_bytes());
        assert_eq!(session.error, Some(error), "{reply}");
        assert_eq!((&session.far_events[..], &session.near_events[..]), (&[][..], &[][..]), "{reply}");
        assert!(client_received(&mut session).starts_with("421 "), "{reply}");
    }
}

#[test]
fn a_data_connection_that_nobody_asked_for_ends_the_session() {
    for command in ["", "NOOP\r\n", "PASV\r\n"] {
        let mut session = greeted();
        session.client_sends(command.as_bytes());
        if command == "PASV\r\n" {
            session.server_sends(b"500 no\r\n");
        }
        session.server_sends(b"227 (10,2,0,2,195,80)\r\n");
        assert_eq!(session.error, Some(FtpError::UnaskedPassive(227)), "{command}");
        assert_eq!(session.far_events, [], "{command}");
    }
}

#[test]
fn a_listener_that_cannot_be_opened_fails_the_command() {
    let mut session = greeted();
    session.listens = false;
    session.client_sends(b"NOOP\r\nPORT 10,1,0,2,195,80\r\nNOOP\r\n");
    assert_eq!(server_received(&mut session), "NOOP\r\nNOOP\r\n");
    session.server_sends(b"200 one\r\n");
    session.server_sends(b"200 two\r\n");
    assert_eq!(client_received(&mut session), "200 one\r\n425 Can't open data connection.\r\n200 two\r\n");
    session.client_sends(b"EPSV\r\n");
    session.server_sends(b"229 (|||30005|)\r\n");
    assert_eq!(client_received(&mut session), "425 Can't open data connection.\r\n");
}
