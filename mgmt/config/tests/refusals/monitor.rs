//! Monitors of routes.

use std::time::Duration;

use gridway_config::{Monitor, MonitorProtocol, Problem};

use crate::{VNET, parse, refuse, with};

/// A vnet with an address and a route that is monitored by `fields`.
fn monitored(fields: &str) -> String {
    vnet("address = \"10.200.1.254\"\n", fields)
}

fn vnet(address: &str, fields: &str) -> String {
    let route = "[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-b\"";
    with(&format!("{VNET}{address}{route}\nmonitor = {{ {fields} }}#!"))
}

fn monitor(fields: &str) -> Monitor {
    parse(&monitored(fields)).unwrap_or_else(|errors| panic!("{errors}")).vnets[0].routes[0]
        .monitor
        .expect("a monitor")
}

#[test]
fn a_monitor_needs_a_protocol_and_a_target() {
    let expected = Monitor {
        protocol: MonitorProtocol::Icmp,
        target: "10.200.2.2".parse().unwrap(),
        port: None,
        interval: Duration::from_secs(1),
        count: 3,
        max_latency: Duration::from_secs(1),
    };
    assert_eq!(monitor("protocol = \"icmp\", target = \"10.200.2.2\""), expected);
}

#[test]
fn every_field_is_read() {
    let fields = "protocol = \"tcp\", target = \"10.200.2.3\", port = 443, interval = \"100ms\", count = 1000, max_latency = \"1m\"";
    let expected = Monitor {
        protocol: MonitorProtocol::Tcp,
        target: "10.200.2.3".parse().unwrap(),
        port: Some(443),
        interval: Duration::from_millis(100),
        count: 1000,
        max_latency: Duration::from_secs(60),
    };
    assert_eq!(monitor(fields), expected);
}

#[test]
fn a_table_of_its_own_reads_the_same() {
    let route = "address = \"10.200.1.254\"\n[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-b\"\n";
    let table = "[vnet.route.monitor]\nprotocol = \"icmp\"\ntarget = \"10.200.2.2\"\n";
    let config = parse(&with(&format!("{VNET}{route}{table}"))).unwrap();
    let inline = monitor("protocol = \"icmp\", target = \"10.200.2.2\"");
    assert_eq!(config.vnets[0].routes[0].monitor, Some(inline));
}

#[test]
fn each_field_is_judged() {
    let good = "protocol = \"tcp\", target = \"10.200.2.2\", port = 443";
    for (fields, field) in [
        ("target = \"10.200.2.2\"".to_owned(), "protocol"),
        ("protocol = \"icmp\"".to_owned(), "target"),
        (good.replace(", port = 443", ""), "port"),
        (good.replace("443", "0"), "port"),
        (good.replace("443", "65536"), "port"),
        (good.replace("tcp", "icmp"), "port"),
        (good.replace("tcp", "udp"), "protocol"),
        (good.replace("10.200.2.2", "gw-b.lab.example"), "target"),
        (good.replace("10.200.2.2", "10.200.3.2"), "target"),
        (good.replace("10.200.2.2", "fd00:200::2"), "target"),
        (format!("{good}, interval = \"99ms\""), "interval"),
        (format!("{good}, interval = 1"), "interval"),
        (format!("{good}, count = 0"), "count"),
        (format!("{good}, count = 1001"), "count"),
        (format!("{good}, max_latency = \"0s\""), "max_latency"),
        (format!("{good}, max_latency = \"60001ms\""), "max_latency"),
        (format!("{good}, timeout = \"1s\""), "timeout"),
    ] {
        refuse(&monitored(&fields), &format!("vnet[0].route[0].monitor.{field}"));
    }
    let text =
        with(&format!("{VNET}[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-b\"\nmonitor = true#!"));
    refuse(&text, "vnet[0].route[0].monitor");
}

#[test]
fn targets_are_where_the_route_leads_and_not_here() {
    let fields = "protocol = \"icmp\", target = \"10.200.3.2\"";
    let problem = refuse(&monitored(fields), "vnet[0].route[0].monitor.target").to_string();
    assert!(problem.contains("10.200.3.2") && problem.contains("10.200.2.0/24"), "{problem}");
    let own = vnet("address = \"10.200.2.254\"\n", "protocol = \"icmp\", target = \"10.200.2.254\"");
    let problem = refuse(&own, "vnet[0].route[0].monitor.target").to_string();
    assert!(problem.contains("this node's own"), "{problem}");
}

#[test]
fn monitors_need_an_address_of_the_family_of_their_target() {
    let fields = "protocol = \"icmp\", target = \"10.200.2.2\"";
    let route = format!("[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-c\"\nmonitor = {{ {fields} }}\n");
    // Said once, however many monitors need it.
    let text = vnet("", fields).replace("}#!", &format!("}}\n{route}")).replace("[[vnet]]", "[[vnet]]#!");
    let text = text.replace("[[vnet]]", "[[peer]]\nname = \"gw-c\"\n[[vnet]]");
    let problem = refuse(&text, "vnet[0].address");
    assert!(matches!(problem, Problem::Missing { .. }), "{problem}");
    // One of the other family does not do.
    let both = vnet("address = \"fd00:200::1\"\n", fields).replace("0.0/16\"", "0.0/16\", \"fd00:200::/48\"");
    let problem = refuse(&both, "vnet[0].route[0].monitor.target");
    assert!(matches!(problem, Problem::MixedFamilies { .. }), "{problem}");
    assert!(parse(&both.replace("\"fd00:200::1\"", "[\"fd00:200::1\", \"10.200.1.254\"]")).is_ok());
    // An address that cannot be read is the only thing that is wrong.
    refuse(&vnet("address = \"x\"#!\n", fields), "vnet[0].address");
}
