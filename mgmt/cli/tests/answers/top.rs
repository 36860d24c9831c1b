//! `gridway top` and `status`: the real program on a terminal of 80 by 24.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use gridway_control::{
    ConfigState, Counters, DataStatus, Drops, InboundCounters, LimitRow, OutboundCounters, PeerRow,
    PeerState, Pending, Reply, Request, Status, WorkerStatus,
};
use nix::pty::{Winsize, openpty};

use crate::events::{connection, event, events};
use crate::fake::{FakeNode, gridway};
use crate::{ask, json, text};

pub(crate) fn status(node: &str) -> Status {
    Status {
        node: node.into(),
        domain: "lab.example".into(),
        role: "gateway".into(),
        version: "0.1.0".into(),
        pid: 7,
        uptime_s: 3700,
        data: Some(DataStatus {
            interface: "data0".into(),
            attach_mode: "native".into(),
            ring_mode: "copy".into(),
            pages: "4K".into(),
            mtu: 1500,
            queues: 1,
        }),
        management: "wan0".into(),
        listen: Some("192.0.2.1:8443".into()),
        workers: vec![WorkerStatus { cpu: 0, roles: vec!["data".into()], load_permille: 123 }],
        policy_generation: 5,
        flows: 12,
        flows_limit: 1_048_576,
        peers: 2,
        peers_up: 1,
        vnets: 1,
        last_reload_error: None,
        config: ConfigState {
            digest: "0123456789abcdef".into(),
            generation: 5,
            since: 1_700_000_000,
            by: "alice".into(),
            pending: Some(Pending { by: "alice".into(), left_s: 60, previous: "ff00".into() }),
            saved: false,
        },
    }
}

fn peer(name: &str, state: PeerState) -> PeerRow {
    let up = state == PeerState::Up;
    PeerRow {
        name: name.into(),
        state,
        reason: (!up).then(|| "connection refused".into()),
        rtt_us: up.then_some(20_123),
        connections: 1,
        stream_connections: 0,
        tx_bytes: 1,
        rx_bytes: 2,
        tx_packets: 3,
        rx_packets: 4,
        instance: None,
        version: None,
        address: None,
        since_s: 10,
    }
}

fn node(request: &Request) -> Vec<Reply> {
    let drops = Drops::from([("acl_deny".to_owned(), 4321)]);
    let outbound = OutboundCounters { drops, ..OutboundCounters::default() };
    vec![match request {
        Request::Status => Reply::Status(Box::new(status("gw-a"))),
        Request::Peers => Reply::Peers(vec![peer("gw-b", PeerState::Up), peer("edge-c", PeerState::Down)]),
        Request::Connections => Reply::Connections(vec![connection(true)]),
        Request::Counters => {
            Reply::Counters(Box::new(Counters::from_directions(outbound, InboundCounters::default())))
        }
        Request::Limits => {
            Reply::Limits(vec![LimitRow { name: "flows".into(), used: 96, limit: 100, refused: 0 }])
        }
        Request::Events { .. } => Reply::Events(events("a", 2, vec![event(2, "no answer to pings")])),
        other => panic!("{other:?}"),
    }]
}

#[test]
fn the_status_shows_the_configuration_and_how_busy_workers_are() {
    let reply = Reply::Status(Box::new(status("gw-a")));
    let (request, output) = ask(&["status"], &reply);
    assert_eq!(request, Request::Status);
    let shown = text(&output);
    for part in [
        "gw-a.lab.example (gateway)",
        "CPU 0: data, awake 12.3 %",
        "0123456789ab, generation 5",
        "since 2023-11-14 22:13:20 UTC",
        "by alice",
        "ff00 comes back in 1m0s unless you run: gridway config confirm",
        "no: a restart begins with another one",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let value = json(&ask(&["status", "--json"], &reply).1);
    assert_eq!(
        (&value["config"]["by"], &value["workers"][0]["load_permille"]),
        (&"alice".into(), &123.into())
    );
}

/// A program on a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    pieces: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Terminal {
    fn run(mut command: Command) -> Self {
        let [rows, columns] = [24, 80].map(|size| NonZero::new(size).unwrap());
        let size = Winsize { ws_row: rows.get(), ws_col: columns.get(), ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let end = |fd: &OwnedFd| fd.try_clone().unwrap();
        command.stdin(end(&pty.slave)).stdout(end(&pty.slave)).stderr(end(&pty.slave));
        let child = command.env("TERM", "xterm-256color").spawn().unwrap();
        drop((command, pty.slave));
        let mut master = File::from(end(&pty.master));
        let (sender, pieces) = channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = master.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys: File::from(pty.master), pieces, screen: vt100::Parser::new(rows, columns, 0) }
    }

    /// Waits until the screen holds a text.
    fn wait_for(&mut self, wanted: &str) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let contents = self.screen.screen().contents();
            if contents.contains(wanted) {
                return contents;
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.pieces.recv_timeout(left) {
                Ok(piece) => self.screen.process(&piece),
                Err(_) => panic!("{wanted:?} never came:\n{contents}"),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// `gridway top` with the terminal as its controlling one.
fn top(node: &FakeNode) -> Terminal {
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_gridway"), "top", "--socket"]).arg(node.socket());
    Terminal::run(command)
}

#[test]
fn top_shows_the_node_turns_its_pages_and_ends() {
    let node = FakeNode::new(node);
    let mut terminal = top(&node);
    let shown = terminal.wait_for(" 20.1 ");
    for part in [
        "gw-a.lab.example",
        "peers 1/2",
        "CHANGE by alice is undone in",
        "connection refused",
        " 41.2 ",
        "acl_deny",
        "96%",
        "awake 12.3 %",
        "no answer to pings (2 times)",
        "q quit",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    terminal.press("2");
    terminal.wait_for("RESENT");
    terminal.press("3");
    terminal.wait_for("OVERLAY TO LOCAL");
    terminal.press("4");
    terminal.wait_for("96/100");
    terminal.press("\t");
    terminal.wait_for("EVENTS (UTC)");
    terminal.press("ss p");
    terminal.wait_for("by round trip");
    terminal.press("q");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}

#[test]
fn top_waits_for_a_node_that_went_away_and_comes_back() {
    let first = FakeNode::new(node);
    let (socket, moved) = (first.socket(), first.folder().join("moved.sock"));
    let mut terminal = top(&first);
    terminal.wait_for(" 20.1 ");
    std::fs::rename(&socket, &moved).unwrap();
    first.hang_up();
    terminal.wait_for("NO ANSWER");
    std::fs::rename(&moved, &socket).unwrap();
    terminal.wait_for("CHANGE by alice");
    terminal.press("\u{3}");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}

#[test]
fn top_needs_a_terminal_and_a_node() {
    let output = gridway("top --socket none.sock").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let mut command = gridway("top --socket none.sock");
    command.env("TERM", "xterm-256color");
    let mut terminal = Terminal::run(command);
    terminal.wait_for("cannot reach the node at none.sock");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(3));
}
