//! `gridway routes`, `nat` and `acl`.

use gridway_control::{AclRow, MonitorRow, NatDirection, NatKind, NatRow, Reply, RouteRow};

use crate::{ask, json, text};

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
