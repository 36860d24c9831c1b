//! What people and scripts see of a node's answers. The real codec answers here; the real node is
//! asked in the end-to-end tests.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output};
use std::thread;

use gridway_control::{
    AclRow, ConfigText, Counters, Drops, Failure, FailureKind, FlowFilter, FlowRow, Flows, InboundCounters,
    MonitorRow, NatDirection, NatKind, NatRow, OutboundCounters, PeerRow, PeerState, Reply, Request,
    RouteRow, Side, Traffic, Translation, Tuple, decode_request, encode_reply,
};

/// Runs `gridway` against a socket that takes one request, which is returned, and gives `reply`.
/// Arguments with spaces between are several.
fn ask(args: &[&str], reply: &Reply) -> (Request, Output) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("node.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let line = encode_reply(reply).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        BufReader::new(&stream).read_until(b'\n', &mut request).unwrap();
        let _told = stream.write_all(&line).is_ok();
        decode_request(&request).ok()
    });
    let binary = env!("CARGO_BIN_EXE_gridway");
    let args = args.iter().flat_map(|arg| arg.split(' '));
    let output = Command::new(binary).args(args).arg("--socket").arg(&socket).output().unwrap();
    // Whoever never asked must not be waited for.
    drop(UnixStream::connect(&socket));
    let request = server.join().unwrap().unwrap_or_else(|| panic!("nothing asked: {output:?}"));
    (request, output)
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&text(output)).unwrap()
}

fn flow() -> FlowRow {
    let tuple = |src: &str, dst: &str| Tuple {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        proto: 6,
        sport: 40000,
        dport: 443,
    };
    FlowRow {
        vnet: "corp".into(),
        peer: "gw-b".into(),
        local: tuple("10.1.0.2", "172.16.2.2"),
        virtual_tuple: tuple("fd00::1", "10.200.2.2"),
        started_by: Side::Overlay,
        translation: Translation::Port,
        relayed: true,
        state: "established".into(),
        packets: 3,
        bytes: 300,
        outbound: Traffic { packets: 2, bytes: 200 },
        inbound: Traffic { packets: 1, bytes: 100 },
        age_s: 3700,
        idle_s: 61,
        tcp_flags: "SYN,ACK".into(),
        tcp_flags_out: "SYN".into(),
        tcp_flags_in: "ACK".into(),
    }
}

#[test]
fn peers_are_a_table_or_a_list() {
    let row = PeerRow {
        name: "gw-b".into(),
        state: PeerState::Up,
        reason: None,
        rtt_us: Some(1234),
        connections: 2,
        tx_bytes: 1,
        rx_bytes: 2,
        tx_packets: 3,
        rx_packets: 4,
        instance: Some("00ff".into()),
        version: Some("0.1.0".into()),
        address: Some("192.0.2.2:8443".into()),
        since_s: 3700,
    };
    let reply = Reply::Peers(vec![row]);
    let (request, output) = ask(&["peers"], &reply);
    assert_eq!(request, Request::Peers);
    let table = text(&output);
    for part in ["gw-b", "up", "1.234 ms", "1h1m"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    let (_, output) = ask(&["peers", "--json"], &reply);
    let list = json(&output);
    assert_eq!((list[0]["state"].as_str(), list[0]["rtt_us"].as_u64()), (Some("up"), Some(1234)));
    assert!(list[0]["reason"].is_null());
}

#[test]
fn flow_filters_reach_the_node_and_a_cut_list_is_told() {
    let reply = Reply::Flows(Flows { matched: 9, rows: vec![flow()] });
    let (request, output) = ask(&["flows", &FILTERS.join(" "), "--limit 1"], &reply);
    assert_eq!(request, Request::Flows { filter: filter(), limit: 1 });
    let table = text(&output);
    for part in
        ["10.1.0.2:40000 > 172.16.2.2:443", "[fd00::1]:40000", "overlay, port, relayed", "1h1m", "1m1s"]
    {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 of 9 flows"));
    let list = json(&ask(&["flows", "--json"], &reply).1);
    assert_eq!(list[0]["virtual"]["src"], "fd00::1");
    assert_eq!(list[0]["outbound"]["packets"], 2);
    assert_eq!((&list[0]["translation"], &list[0]["started_by"]), (&"port".into(), &"overlay".into()));
}

#[test]
fn flows_of_ipv4_fit_a_screen() {
    let address = |end: &mut std::net::IpAddr| *end = "172.16.200.200".parse().unwrap();
    let mut row = FlowRow { relayed: false, packets: 1_000_000, bytes: 1_000_000_000, ..flow() };
    for tuple in [&mut row.local, &mut row.virtual_tuple] {
        address(&mut tuple.src);
        address(&mut tuple.dst);
    }
    row.tcp_flags_out = "SYN,ACK,PSH,FIN".into();
    row.outbound = Traffic { packets: 1_000_000, bytes: 1_000_000_000 };
    let table = text(&ask(&["flows"], &Reply::Flows(Flows { matched: 1, rows: vec![row] })).1);
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
}

/// Every filter that flows can be picked by.
const FILTERS: [&str; 13] = [
    "--vnet corp",
    "--peer gw-b",
    "--address 10.200.2.2",
    "--src fd00::1",
    "--dst 10.200.2.2",
    "--proto tcp",
    "--port 443",
    "--sport 40000",
    "--dport 443",
    "--state established",
    "--tcp-flags syn,ACK",
    "--idle-at-least 1m",
    "--started-by overlay",
];

/// What [`FILTERS`] ask for.
fn filter() -> FlowFilter {
    FlowFilter {
        vnet: Some("corp".into()),
        peer: Some("gw-b".into()),
        address: Some("10.200.2.2".parse().unwrap()),
        src: Some("fd00::1".parse().unwrap()),
        dst: Some("10.200.2.2".parse().unwrap()),
        proto: Some(6),
        port: Some(443),
        sport: Some(40000),
        dport: Some(443),
        state: Some("established".into()),
        tcp_flags: Some("SYN,ACK".into()),
        idle_at_least_s: Some(60),
        started_by: Some(Side::Overlay),
    }
}

#[test]
fn flows_are_killed_by_filter_or_plainly_all() {
    let reply = Reply::Killed { flows: 3 };
    let (request, output) = ask(&["flows kill", &FILTERS.join(" ")], &reply);
    assert_eq!(request, Request::KillFlows { filter: filter() });
    assert_eq!(text(&output), "3 flow(s) ended\n");
    let (request, output) = ask(&["flows kill --all --json"], &reply);
    assert_eq!(request, Request::KillFlows { filter: FlowFilter::default() });
    assert_eq!(json(&output)["flows"], 3);
    let (_, output) = ask(&["flows kill --vnet corp --json"], &Reply::Killed { flows: 0 });
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["flows"], 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no flow matches"));
}

#[test]
fn routes_show_their_monitors() {
    let route = |monitor| RouteRow {
        vnet: "corp".into(),
        to: "10.200.2.0/24".into(),
        via: "gw-b".into(),
        metric: 10,
        available: false,
        chosen: false,
        monitor,
    };
    let monitor = MonitorRow {
        protocol: "tcp".into(),
        target: "10.200.2.2".parse().unwrap(),
        port: Some(443),
        up: false,
        failures: 2,
        count: 3,
        latency_us: Some(1234),
    };
    let reply = Reply::Routes(vec![route(Some(monitor)), route(None)]);
    let table = text(&ask(&["routes"], &reply).1);
    assert!(table.contains("tcp 10.200.2.2:443 down, 2 of 3 failures, 1.234 ms"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let list = json(&ask(&["routes", "--json"], &reply).1);
    assert_eq!(list[0]["monitor"]["latency_us"], 1234);
    assert!(list[1]["monitor"].is_null());
}

#[test]
fn nat_entries_show_their_ports() {
    let row = |kind, ports_used, ports_limit| NatRow {
        vnet: "corp".into(),
        direction: NatDirection::Outside,
        kind,
        local: "172.16.200.0/24".into(),
        virtual_side: "branch-offices".into(),
        ports_used,
        ports_limit,
        exhausted: 7,
        hits: 1_000_000,
        first: Some(0),
        last: None,
    };
    let rows = vec![row(NatKind::ManyToOne, Some(12), Some(64_512)), row(NatKind::OneToOne, None, None)];
    let reply = Reply::Nat(rows);
    let table = text(&ask(&["nat"], &reply).1);
    for part in ["many-to-one", "1:1", "branch-offices", "12/64512"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let list = json(&ask(&["nat", "--json"], &reply).1);
    assert_eq!((&list[0]["kind"], &list[0]["ports_limit"]), (&"many-to-one".into(), &64_512.into()));
    assert!(list[1]["ports_used"].is_null());
}

#[test]
fn counters_show_each_direction_and_each_reason() {
    let drops = |count| Drops::from([("no_vnet".to_owned(), count), ("never".to_owned(), 0)]);
    let outbound =
        OutboundCounters { rx_packets: 10, tunnelled: 8, drops: drops(2), ..OutboundCounters::default() };
    let inbound = InboundCounters {
        rx_packets: 5,
        delivered: 4,
        relayed: 1,
        originated: 3,
        drops: drops(0),
        ..InboundCounters::default()
    };
    let counters = Counters { flows_evicted: 77, ..Counters::from_directions(outbound, inbound) };
    let reply = Reply::Counters(Box::new(counters));
    let table = text(&ask(&["counters"], &reply).1);
    assert!(table.contains("no_vnet") && !table.contains("never"), "{table}");
    let row = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!([row("relayed "), row("originated "), row("unaccounted ")], ["- 1", "0 3", "0 0"]);
    assert_eq!(row("flows evicted"), "77");
    let value = json(&ask(&["counters", "--json"], &reply).1);
    assert_eq!((value["rx_packets"].as_u64(), value["tx_packets"].as_u64()), (Some(10), Some(4)));
    assert_eq!((&value["originated"], &value["inbound"]["relayed"]), (&3.into(), &1.into()));
    assert_eq!(value["drops"]["no_vnet"], 2);
}

#[test]
fn rules_show_when_they_were_hit() {
    let row = AclRow {
        vnet: "corp".into(),
        line: 10,
        action: "allow".into(),
        protocol: "tcp".into(),
        source: "!servers".into(),
        destination: "any".into(),
        ports: Some("8000-8999".into()),
        hits: 7,
        first: Some(0),
        last: None,
    };
    let table = text(&ask(&["acl"], &Reply::Acl(vec![row])).1);
    assert!(table.contains("!servers") && table.contains("8000-8999") && table.contains("ago"), "{table}");
}

#[test]
fn configuration_in_force_is_toml_or_json() {
    let reply = Reply::Config(ConfigText { toml: "[limits]\nflows = 5\n".into() });
    let (request, output) = ask(&["config", "show", "--defaults"], &reply);
    assert_eq!(request, Request::Config { defaults: true });
    assert_eq!(text(&output), "[limits]\nflows = 5\n");
    let (request, output) = ask(&["config", "show", "--json"], &reply);
    assert_eq!(request, Request::Config { defaults: false });
    assert_eq!(json(&output)["limits"]["flows"], 5);
}

#[test]
fn a_refusal_of_the_node_is_status_1() {
    let (_, output) = ask(&["nat"], &Reply::Error(Failure::new(FailureKind::Busy, "too many clients")));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("too many clients"));
}
