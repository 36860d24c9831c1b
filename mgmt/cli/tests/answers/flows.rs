//! `gridway flows`.

use gridway_control::{
    FlowFilter, FlowRow, Flows, Killed, Reply, Request, Side, Traffic, Translation, Tuple,
};

use crate::{ask, json, text};

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
        acl_line: Some(4_294_967_295),
    }
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
    assert!(table.contains("RULE") && table.contains("4294967295"), "{table}");
    assert_eq!(list[0]["acl_line"], 4_294_967_295_u32);
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
    let reply = Reply::Killed(Killed::Flows(3));
    let (request, output) = ask(&["flows kill", &FILTERS.join(" ")], &reply);
    assert_eq!(request, Request::KillFlows { filter: filter() });
    assert_eq!(text(&output), "3 flow(s) ended\n");
    let (request, output) = ask(&["flows kill --all --json"], &reply);
    assert_eq!(request, Request::KillFlows { filter: FlowFilter::default() });
    assert_eq!(json(&output)["flows"], 3);
    let (_, output) = ask(&["flows kill --vnet corp --json"], &Reply::Killed(Killed::Flows(0)));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["flows"], 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no flow matches"));
}
