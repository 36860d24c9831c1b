//! What is not passed on, and what ends a session.

use gridway_proxy::ftp::FtpError;

use crate::support::{client_received, greeted, server_received};

#[test]
fn ftps_is_refused_with_a_clear_reply() {
    for command in ["AUTH TLS", "auth ssl", "ADAT abc", "PBSZ 0", "PROT P", "CCC", "MIC x", "CONF x", "ENC x"]
    {
        let mut session = greeted();
        session.client_sends(format!("{command}\r\n").as_bytes());
        assert_eq!(server_received(&mut session), "", "{command}");
        assert_eq!(
            client_received(&mut session),
            "502 TLS is not supported through this connector; the tunnel encrypts.\r\n",
            "{command}"
        );
        assert_eq!(session.error, None);
    }
}

#[test]
fn what_no_server_may_take_for_another_command_stays_here() {
    for line in ["", " ", " PORT 10,9,9,9,0,25", "P@SW", "\u{e9}PORT", "ABCDEFGHIJKLMNOPQ", "Host: a", ".\\x"]
    {
        let mut session = greeted();
        session.client_sends(format!("{line}\r\n").as_bytes());
        assert_eq!(server_received(&mut session), "", "{line}");
        assert_eq!(client_received(&mut session), "500 Syntax error, command unrecognized.\r\n", "{line}");
        assert_eq!(session.error, None);
    }
    for line in ["LPRT 4,4,10,1,0,2,2,195,80", "LPSV", "SPSV", "CPSV", "SSCN ON"] {
        let mut session = greeted();
        session.client_sends(format!("{line}\r\n").as_bytes());
        assert_eq!(server_received(&mut session), "", "{line}");
        assert!(client_received(&mut session).starts_with("502 "), "{line}");
    }
}

#[test]
fn control_characters_end_the_session() {
    for (line, byte) in [
        (&b"RETR a\0b\r\n"[..], 0),
        (b"RETR a\rb\r\n", b'\r'),
        (b"RETR a\r\r\n", b'\r'),
        (b"\rNOOP\r\n", b'\r'),
        (b"RETR a\tb\r\n", b'\t'),
        (b"RETR \x1b[2J\r\n", 0x1b),
        (b"RETR \x7f\r\n", 0x7f),
        (b"\xff\xfa\x18\r\n", 0xfa),
    ] {
        let mut session = greeted();
        session.client_sends(b"NOOP\r\n");
        session.client_sends(line);
        session.client_sends(b"NOOP\r\n");
        session.server_sends(b"200 late\r\n");
        assert_eq!(session.error, Some(FtpError::CommandByte(byte)), "{}", line.escape_ascii());
        assert_eq!(server_received(&mut session), "NOOP\r\n");
        assert_eq!(
            client_received(&mut session),
            "500 Control character in command; closing control connection.\r\n"
        );
    }
}

#[test]
fn a_server_that_does_not_speak_ftp_ends_the_session() {
    for (line, error) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], FtpError::NotAReply(*b"SSH-")),
        (b"\r\n", FtpError::NotAReply([0; 4])),
        (b"22\r\n", FtpError::NotAReply(*b"22\0\0")),
        (b"2201 x\r\n", FtpError::NotAReply(*b"2201")),
        (b"020 x\r\n", FtpError::NotAReply(*b"020 ")),
        (b"631 protected\r\n", FtpError::NotAReply(*b"631 ")),
        (b"200 a\0b\r\n", FtpError::ReplyByte(0)),
        (b"200 a\r227 (10,2,0,2,195,80)\r\n", FtpError::ReplyByte(b'\r')),
    ] {
        let mut session = greeted();
        session.client_sends(b"NOOP\r\n");
        session.server_sends(line);
        assert_eq!(session.error, Some(error), "{}", line.escape_ascii());
        let wanted = "421 The server's reply cannot be understood; closing control connection.\r\n";
        assert_eq!(client_received(&mut session), wanted);
    }
}

#[test]
fn abor_is_plain_for_the_server() {
    for line in [&b"\xff\xf4\xff\xf2ABOR\r\n"[..], b"\xff\xf4\xf2ABOR\r\n", b"\xff\xf4\xffABOR\r\n"] {
        let mut session = greeted();
        session.client_sends(line);
        assert_eq!(server_received(&mut session), "ABOR\r\n");
    }
}
