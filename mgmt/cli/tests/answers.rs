//! What people and scripts see of a node's answers. The real codec answers here; the real node is
//! asked in the end-to-end tests.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};
use std::thread;

use gridway_control::{
    AclRow, ConfigText, Counters, Drops, Failure, FailureKind, FlowRow, Flows, InboundCounters,
    OutboundCounters, PeerRow, PeerState, Reply, Request, Traffic, Tuple, decode_request, encode_reply,
};

/// Runs `gridway` against a socket that takes one request, which is returned, and gives `reply`.
fn ask(args: &[&str], reply: &Reply) -> (Request, Output) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("node.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let line = encode_reply(reply).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        BufReader::new(&stream).read_until(b'\n', &mut request).unwrap();
        stream.write_all(&line).unwrap();
        decode_request(&request).unwrap()
    });
    let binary = env!("CARGO_BIN_EXE_gridway");
    let output = Command::new(binary).args(args).arg("--socket").arg(&socket).output().unwrap();
    (server.join().unwrap(), output)
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
        state: "established".into(),
        packets: 3,
        bytes: 300,
        outbound: Traffic { packets: 2, bytes: 200 },
        inbound: Traffic { packets: 1, bytes: 100 },
        idle_s: 61,
        tcp_flags: "SYN,ACK".into(),
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
    let filters = [
        "flows",
        "--proto",
        "tcp",
        "--dst",
        "10.200.2.2",
        "--dport",
        "443",
        "--vnet",
        "corp",
        "--limit",
        "1",
    ];
    let (request, output) = ask(&filters, &reply);
    let Request::Flows { filter, limit } = request else { panic!("{request:?}") };
    assert_eq!(
        (filter.proto, filter.dport, filter.vnet.as_deref(), limit),
        (Some(6), Some(443), Some("corp"), 1)
    );
    assert_eq!(filter.dst, Some("10.200.2.2".parse().unwrap()));
    let table = text(&output);
    assert!(
        table.contains("10.1.0.2:40000 > 172.16.2.2:443") && table.contains("[fd00::1]:40000"),
        "{table}"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 of 9 flows"));
    let list = json(&ask(&["flows", "--json"], &reply).1);
    assert_eq!(list[0]["virtual"]["src"], "fd00::1");
    assert_eq!(list[0]["outbound"]["packets"], 2);
}

#[test]
fn counters_show_each_direction_and_each_reason() {
    let drops = |count| Drops::from([("no_vnet".to_owned(), count), ("never".to_owned(), 0)]);
    let outbound =
        OutboundCounters { rx_packets: 10, tunnelled: 8, drops: drops(2), ..OutboundCounters::default() };
    let inbound =
        InboundCounters { rx_packets: 5, delivered: 5, drops: drops(0), ..InboundCounters::default() };
    let reply = Reply::Counters(Box::new(Counters::from_directions(outbound, inbound)));
    let table = text(&ask(&["counters"], &reply).1);
    assert!(table.contains("no_vnet") && !table.contains("never"), "{table}");
    let value = json(&ask(&["counters", "--json"], &reply).1);
    assert_eq!((value["rx_packets"].as_u64(), value["tx_packets"].as_u64()), (Some(10), Some(5)));
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
