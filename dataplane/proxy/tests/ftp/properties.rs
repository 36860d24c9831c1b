//! Properties of any session.

use gridway_proxy::ftp::session::{Session, Site, far_alone, near_alone};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support::{client_received, greeted, server_received};

const COMMANDS: &[&str] = &[
    "USER anonymous",
    "NOOP",
    "RETR a b",
    "STOR \u{e9}",
    "ABOR",
    "STAT",
    "PASV",
    "EPSV",
    "EPSV 1",
    "EPSV 2",
    "EPSV ALL",
    "PORT 10,1,0,2,195,80",
    "PORT 10,1,0,3,195,80",
    "EPRT |1|10.1.0.2|50000|",
    "EPRT |2|fd00:1::2|50000|",
    "AUTH TLS",
    "PROT P",
    " PASV",
    "",
    "QUIT",
];
const REPLIES: &[&str] = &[
    "220 ready",
    "200 ok",
    "150 here it comes",
    "226 done",
    "211-Status\r\n 211 more\r\n211 End",
    "500 no",
    "425 no data",
    "227 Entering Passive Mode (10,2,0,2,195,80).",
    "229 Entering Extended Passive Mode (|||50000|)",
    "229-Look\r\n229 (|||50001|)",
    "331 password",
    "421 bye",
];

/// What one end sends: lines, or anything.
fn sent(lines: &'static [&'static str], rubbish: u32) -> BoxedStrategy<Vec<u8>> {
    let line = select(lines).prop_map(|line| format!("{line}\r\n").into_bytes());
    let anything = prop_oneof![
        vec(any::<u8>(), 0..20),
        vec(select(&b"\r\n\0\xff\xf4\xf2 ,|(259"[..]), 0..8),
        select(&[8186, 8187, 8188][..])
            .prop_map(|length| [b"RETR ", &vec![b'a'; length][..], b"\n"].concat()),
        Just(b"NOOP\r\n".repeat(100)),
    ];
    prop_oneof![20 => line, rubbish => anything].boxed()
}

/// Who sends (the client, where true) what.
fn exchange(rubbish: u32) -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let client = sent(COMMANDS, rubbish).prop_map(|bytes| (true, bytes));
    let server = sent(REPLIES, rubbish).prop_map(|bytes| (false, bytes));
    vec(prop_oneof![client, server], 0..60)
}

fn run(families: (bool, bool), listens: bool, sends: &[(bool, Vec<u8>)]) -> Session {
    let mut session = Session::new(Site::new(families.0, families.1));
    session.listens = listens;
    for (from_client, bytes) in sends {
        if *from_client {
            session.client_sends(bytes);
        } else {
            session.server_sends(bytes);
        }
    }
    session
}

/// A command that is nobody's business.
fn plain_command() -> impl Strategy<Value = String> {
    "(USER|CWD|RETR|STOR|SITE|MLSD|XSHA256)( [ -~\u{a0}-\u{24f}]{0,30})?"
        .prop_map(|line| format!("{line}\r\n"))
}

proptest! {
    /// Memory is measured after every call.
    #[test]
    fn whatever_is_sent_nothing_panics(families: (bool, bool), listens: bool, sends in exchange(5)) {
        run(families, listens, &sends);
    }

    #[test]
    fn where_bytes_are_cut_does_not_matter(
        families: (bool, bool), sends in exchange(2), cuts in vec(any::<Index>(), 60)
    ) {
        let site = Site::new(families.0, families.1);
        let whole = || sends.iter().map(|(from_client, bytes)| (*from_client, &bytes[..]));
        let cut = || whole().zip(&cuts).flat_map(|((from_client, bytes), cut)| {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            [(from_client, first), (from_client, second)]
        });
        prop_assert_eq!(near_alone(site, whole()), near_alone(site, cut()));
        prop_assert_eq!(far_alone(site, whole()), far_alone(site, cut()));
    }

    /// What the near node passes on the far node takes, and the other way round.
    #[test]
    fn the_nodes_understand_each_other(families: (bool, bool), listens: bool, sends in exchange(2)) {
        let session = run(families, listens, &sends);
        prop_assert!(!session.nodes_disagree, "{:?}", session.error);
    }

    #[test]
    fn commands_that_need_no_change_pass_unchanged(commands in vec(plain_command(), 0..100)) {
        let mut session = greeted();
        session.client_sends(commands.concat().as_bytes());
        prop_assert_eq!(server_received(&mut session), commands.concat());
        prop_assert_eq!(client_received(&mut session), "");
        let replies: String = commands.iter().enumerate().map(|(number, _)| format!("200 {number}\r\n")).collect();
        session.server_sends(replies.as_bytes());
        prop_assert_eq!(client_received(&mut session), replies);
    }

    /// A server that answers each command with its name; the client sees the names, and local replies, in order.
    #[test]
    fn replies_come_in_the_order_of_commands(
        commands in vec(any::<bool>(), 0..100), batches in vec(1_usize..9, 100)
    ) {
        let mut session = Session::new(Site::new(false, false));
        session.server_sends(b"220 ready\r\n");
        let (mut sent, mut answered) = (0, 0);
        for (local, batch) in commands.iter().zip(batches) {
            session.client_sends(if *local { "AUTH TLS\r\n".into() } else { format!("XSQ {sent}\r\n") }.as_bytes());
            sent += 1;
            // The server answers only now and then.
            if batch == 1 {
                answer(&mut session, &mut answered);
            }
        }
        answer(&mut session, &mut answered);
        let client = client_received(&mut session);
        let found: Vec<&str> = client.lines().skip(1).filter(|line| !line.starts_with("150")).collect();
        let wanted: Vec<String> = commands.iter().enumerate().map(|(number, local)| match local {
            true => "502 TLS is not supported through this connector; the tunnel encrypts.".into(),
            false => format!("226 {number}"),
        }).collect();
        prop_assert_eq!(found, wanted);
    }
}

/// The server answers what it has received and not answered.
fn answer(session: &mut Session, answered: &mut usize) {
    let received = String::from_utf8(session.server.clone()).expect("ASCII");
    for line in received.lines().skip(*answered) {
        let number = line.strip_prefix("XSQ ").expect("the command that was sent");
        session.server_sends(format!("150 go\r\n226 {number}\r\n").as_bytes());
        *answered += 1;
    }
}
