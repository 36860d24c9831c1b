//! The screen on a terminal in memory.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use gridway_control::{
    ConfigState, ConnectionRow, Counters, Drops, EventRow, InboundCounters, LimitRow, OutboundCounters,
    PeerRow, PeerState, Pending, RoundTrip, Severity, Status, WorkerStatus,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::model::{Screen, Sort};
use super::poll::{Snapshot, Update};
use super::view;

fn status(pending: bool) -> Status {
    Status {
        node: "gw-a".into(),
        domain: "lab.example".into(),
        role: "gateway".into(),
        version: "0.1.0".into(),
        pid: 7,
        uptime_s: 3700,
        data: None,
        management: "wan0".into(),
        listen: None,
        workers: vec![WorkerStatus { cpu: 3, roles: vec!["data".into()], load_permille: 123 }],
        policy_generation: 5,
        flows: 12,
        flows_limit: 100,
        peers: 3,
        peers_up: 2,
        vnets: 1,
        last_reload_error: None,
        config: ConfigState {
            digest: "00ff".into(),
            generation: 5,
            since: 0,
            by: "alice".into(),
            pending: pending.then(|| Pending { by: "alice".into(), left_s: 60, previous: "ff00".into() }),
            saved: false,
        },
    }
}

fn peer(name: &str, bytes: u64, rtt_us: Option<u64>) -> PeerRow {
    PeerRow {
        name: name.into(),
        state: if rtt_us.is_some() { PeerState::Up } else { PeerState::Down },
        reason: rtt_us.is_none().then(|| "certificate \u{1b} expired".into()),
        rtt_us,
        connections: 1,
        stream_connections: 0,
        tx_bytes: bytes,
        rx_bytes: 0,
        tx_packets: bytes / 100,
        rx_packets: 0,
        instance: None,
        version: None,
        address: None,
        since_s: 10,
    }
}

/// A look at a node after so many seconds; its counters grow by 1,000,000 bytes and 50 drops a second.
fn look(start: Instant, seconds: u32) -> Snapshot {
    let grown = u64::from(seconds);
    let drops = |name: &str, count| Drops::from([(name.to_owned(), count)]);
    let outbound = OutboundCounters { drops: drops("acl_deny", 50 * grown), ..OutboundCounters::default() };
    let inbound = InboundCounters { drops: drops("spoofed", 7), ..InboundCounters::default() };
    let limit = |name: &str, used| LimitRow { name: name.into(), used, limit: 100, refused: 0 };
    Snapshot {
        at: start + Duration::from_secs(seconds.into()),
        status: status(true),
        peers: vec![
            peer("gw-b", 1_000_000 * grown, Some(20_123)),
            peer("edge-c", 0, Some(90_000)),
            peer("gw-z", 0, None),
        ],
        connections: vec![ConnectionRow {
            peer: "gw-b".into(),
            carries: "packets".into(),
            worker: 0,
            age_s: 1,
            round_trip: RoundTrip { samples: 9, p99_us: 41_250, ..RoundTrip::default() },
            queued_records: 4,
            queue_wait_us: 1_250,
            tcp: None,
        }],
        counters: Counters::from_directions(outbound, inbound),
        limits: vec![limit("flows", 12), limit("records", 81), limit("sessions", 96)],
    }
}

fn event(kind: &str, message: &str) -> EventRow {
    EventRow {
        number: 1,
        first_ms: 1_700_000_000_000,
        last_ms: 1_700_000_000_000,
        count: 1,
        severity: Severity::Error,
        kind: kind.into(),
        subject: "gw-z".into(),
        message: message.into(),
    }
}

/// A screen after two looks, two seconds apart.
fn seen(start: Instant) -> Screen {
    let mut screen = Screen::default();
    screen.update(Update::Seen(Box::new(look(start, 0)), vec![event("tunnel_down", "first")]));
    screen.update(Update::Seen(Box::new(look(start, 2)), vec![event("tunnel_up", "second")]));
    screen
}

fn terminal(screen: &Screen, now: Instant, (columns, lines): (u16, u16)) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| view::draw(frame, screen, now)).unwrap();
    terminal
}

/// The screen as lines of text.
fn lines(screen: &Screen, now: Instant) -> Vec<String> {
    let terminal = terminal(screen, now, (80, 24));
    let cells = terminal.backend().buffer().content();
    let line = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
    cells.chunks(80).map(|cells| line(cells).trim_end().to_owned()).collect()
}

fn press(screen: &mut Screen, code: KeyCode) -> ControlFlow<()> {
    screen.press(KeyEvent::new(code, KeyModifiers::NONE))
}

/// The line that begins with a text.
fn line<'a>(lines: &'a [String], begin: &str) -> &'a str {
    lines
        .iter()
        .find(|line| line.starts_with(begin))
        .unwrap_or_else(|| panic!("{begin}\n{}", lines.join("\n")))
}

#[test]
fn the_overview_has_everything_an_operator_asks_first() {
    let start = Instant::now();
    let shown = lines(&seen(start), start + Duration::from_secs(12));
    assert_eq!(shown[0], "gw-a.lab.example  gateway 0.1.0  up 1h1m  peers 2/3  flows 12");
    // Sixty seconds were left at the last look, which was ten seconds ago.
    assert_eq!(
        line(&shown, "CHANGE"),
        "CHANGE by alice is undone in 50 s unless confirmed: gridway config confirm"
    );
    let words = |begin: &str| line(&shown, begin).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words("gw-b"), "gw-b up 20.1 41.2 8.0M 0 10k 0 4 1.25");
    assert_eq!(words("gw-z"), "gw-z down certificate expired");
    assert!(line(&shown, "acl_deny").contains("100    50"), "{shown:#?}");
    assert!(line(&shown, "acl_deny").contains("sessions"), "{shown:#?}");
    let whole = shown.join("\n");
    for part in ["records      [", "96% 96/100", "CPU 3", "awake 12.3 %", "tunnel_up gw-z: second"] {
        assert!(whole.contains(part), "{part}\n{whole}");
    }
    let place = |part: &str| whole.find(part).unwrap();
    assert!(place("tunnel_up") < place("tunnel_down"), "{whole}");
}

#[test]
fn tables_are_coloured_as_they_fill() {
    let start = Instant::now();
    let mut screen = seen(start);
    assert!(press(&mut screen, KeyCode::Char('4')).is_continue());
    let terminal = terminal(&screen, start, (80, 24));
    let buffer = terminal.backend().buffer();
    let text = lines(&screen, start);
    let colour = |name: &str| {
        let row = text.iter().position(|line| line.starts_with(name)).unwrap();
        buffer[(14, u16::try_from(row).unwrap())].fg
    };
    assert_eq!(
        [colour("flows"), colour("records"), colour("sessions")],
        [Color::Green, Color::Yellow, Color::Red]
    );
}

#[test]
fn keys_turn_pages_sort_pause_and_end() {
    let start = Instant::now();
    let mut screen = seen(start);
    for (key, title) in [
        (KeyCode::Char('2'), "PEER       CARRIES"),
        (KeyCode::Char('3'), "LOCAL TO OVERLAY"),
        (KeyCode::Tab, "TABLES"),
        (KeyCode::Right, "EVENTS"),
        (KeyCode::Right, "TUNNEL"),
        (KeyCode::Left, "EVENTS"),
        (KeyCode::Char('1'), "TUNNEL"),
    ] {
        assert!(press(&mut screen, key).is_continue());
        line(&lines(&screen, start), title);
    }
    let first = |screen: &Screen| screen.tunnels()[0].peer.name.clone();
    assert_eq!((screen.sort, first(&screen)), (Sort::Name, "edge-c".into()));
    assert!(press(&mut screen, KeyCode::Char('s')).is_continue());
    assert_eq!((screen.sort, first(&screen)), (Sort::Throughput, "gw-b".into()));
    assert!(press(&mut screen, KeyCode::Char('s')).is_continue());
    assert_eq!((screen.sort, first(&screen)), (Sort::RoundTrip, "edge-c".into()));

    assert!(press(&mut screen, KeyCode::Char('p')).is_continue());
    screen.update(Update::Seen(Box::new(look(start, 9)), vec![event("tunnel_down", "while paused")]));
    assert_eq!(screen.now.as_ref().unwrap().at, start + Duration::from_secs(2));
    assert!(lines(&screen, start)[1].contains("PAUSED"));
    assert_eq!(screen.events[0].message, "while paused");

    for code in [KeyCode::Char('q'), KeyCode::Esc] {
        assert!(press(&mut screen, code).is_break());
    }
    assert!(screen.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)).is_break());
}

#[test]
fn a_node_that_goes_away_is_told_and_comes_back() {
    let start = Instant::now();
    let mut screen = Screen::default();
    assert_eq!(lines(&screen, start)[0], "waiting for the node");
    screen.update(Update::Gone("lost the node: broken pipe".into()));
    line(&lines(&screen, start), "NO ANSWER, trying again: lost the node: broken pipe");
    let mut screen = seen(start);
    screen.update(Update::Gone("the node closed the connection".into()));
    let shown = lines(&screen, start);
    line(&shown, "NO ANSWER");
    line(&shown, "gw-b");
    screen.update(Update::Seen(Box::new(look(start, 3)), Vec::new()));
    assert!(!lines(&screen, start).iter().any(|line| line.starts_with("NO ANSWER")));
}

#[test]
fn an_event_that_occurs_again_is_shown_once_at_the_top() {
    let mut screen = seen(Instant::now());
    let again = EventRow { count: 2, ..event("tunnel_down", "again") };
    screen.update(Update::Seen(Box::new(look(Instant::now(), 3)), vec![again]));
    let shown: Vec<&str> = screen.events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(shown, ["again", "second"]);
}

#[test]
fn no_size_and_no_scrolling_is_too_much() {
    let start = Instant::now();
    for size in [(1, 1), (10, 3), (40, 10), (80, 24), (300, 100)] {
        let mut screen = seen(start);
        for page in '1'..='5' {
            assert!(press(&mut screen, KeyCode::Char(page)).is_continue());
            for _ in 0..50 {
                assert!(press(&mut screen, KeyCode::Down).is_continue());
            }
            terminal(&screen, start, size);
        }
        terminal(&Screen::default(), start, size);
    }
}

#[test]
fn counters_that_began_anew_have_no_rate() {
    let start = Instant::now();
    let mut screen = Screen::default();
    screen.update(Update::Seen(Box::new(look(start, 9)), Vec::new()));
    screen.update(Update::Seen(
        Box::new(Snapshot { at: start + Duration::from_secs(10), ..look(start, 1) }),
        Vec::new(),
    ));
    assert!(screen.tunnels().iter().all(|tunnel| tunnel.tx_bits == 0));
}
