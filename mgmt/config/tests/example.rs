//! The example file is accepted, means what it says, and survives being shown.

use std::path::Path;
use std::time::Duration;

use gridway_config::{
    AclAction, Config, Cpus, Detail, Layer4Protocol, Limits, MonitorProtocol, Rings, Role, ServiceRef,
    VnetName,
};

fn example() -> Config {
    load("gateway.toml")
}

fn load(name: &str) -> Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    Config::load(&file).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_table_is_read() {
    let config = example();
    assert_eq!(config.node.name.san(&config.node.domain), "gw-a.lab.example");
    assert_eq!(config.node.role, Role::Gateway);
    assert_eq!(config.identity.ca, Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pki/ca.crt"));
    let data = config.data.as_ref().unwrap();
    assert_eq!((data.interface.as_str(), data.rings, data.deny.len()), ("data0", Rings::Auto, 1));
    assert_eq!(config.management.interface.as_str(), "wan0");
    assert_eq!(config.workers.cpus, Cpus::Auto);
    assert_eq!(config.tunnel.listen, Some("192.0.2.1:8443".parse().unwrap()));
    assert_eq!(config.tunnel.dead_after, Duration::from_secs(3));
    assert_eq!(config.flows.tcp_established, Duration::from_secs(7440));
    assert_eq!(config.limits, Limits::default());
    assert_eq!((config.throttle.egress_mbps, config.throttle.ingress_mbps), (500, 0));
    let log = config.flow_log.as_ref().unwrap();
    assert_eq!(log.ipfix, Some("192.0.2.9:4739".parse().unwrap()));
    assert_eq!(log.json.as_deref(), Some(Path::new("/var/log/gridway/flows.jsonl")));
    assert_eq!(config.control.socket, Path::new("/run/gridway/gw-a.sock"));
    let peer = config.peer("gw-b").unwrap();
    assert_eq!((peer.dial.len(), peer.dial[1].host.as_str(), peer.connections), (2, "gw-b.lab.example", 2));
    assert!(config.peer("edge-c").unwrap().dial.is_empty());
}

#[test]
fn rules_hold_the_prefixes_of_their_objects() {
    let config = example();
    let corp = config.vnet("corp").unwrap();
    let [first, second, third, fourth] = corp.acl.as_slice() else { panic!("four rules") };
    assert_eq!(first.action, AclAction::Reject);
    assert!(first.source.negated);
    assert_eq!(first.source.to_string(), "!servers");
    let servers = ["10.200.2.10/32", "10.200.2.64/28"].map(|prefix| prefix.parse().unwrap());
    assert_eq!(first.source.prefixes, servers);
    assert!(!first.source.matches("10.200.2.70".parse().unwrap()));
    assert!(first.source.matches("10.200.9.9".parse().unwrap()));
    assert_eq!((second.protocol, second.ports.clone()), (Some(6), Some(8000..=8999)));
    assert_eq!(third.protocol, Some(gridway_config::PROTOCOL_ICMP));
    assert!(third.source.is_any() && third.destination.is_any());
    assert_eq!((fourth.protocol, fourth.protocol_text().as_str()), (Some(47), "47"));
}

#[test]
fn remote_hosts_have_an_address_each_or_share_some() {
    let config = example();
    let corp = config.vnet("corp").unwrap();
    let many: Vec<bool> = corp.outside_nat.iter().map(|entry| entry.is_many_to_one()).collect();
    assert_eq!(many, [false, false, true, true]);
    assert_eq!(corp.outside_nat[3].remote.to_string(), "branches");
    assert_eq!(corp.outside_nat[3].remote.prefixes().len(), 2);
    assert!(!config.vnet("six").unwrap().outside_nat[0].is_many_to_one());
    assert!(corp.relay && corp.address.len() == 1 && config.vnet("lab").unwrap().address.len() == 2);
}

#[test]
fn routes_have_monitors() {
    let config = example();
    let corp = config.vnet("corp").unwrap();
    let monitors: Vec<_> = corp.routes.iter().map(|route| route.monitor.unwrap()).collect();
    let shapes: Vec<_> =
        monitors.iter().map(|monitor| (monitor.protocol, monitor.port, monitor.interval)).collect();
    let expected = [
        (MonitorProtocol::Tcp, Some(443), Duration::from_secs(1)),
        (MonitorProtocol::Icmp, None, Duration::from_millis(500)),
    ];
    assert_eq!(shapes, expected);
    assert!(config.vnet("lab").unwrap().routes[0].monitor.is_none());
}

#[test]
fn services_are_offered_and_listeners_lead_to_those_of_peers() {
    let config = example();
    let [db, dns] = config.services.as_slice() else { panic!("two services") };
    assert_eq!((db.target.to_string().as_str(), db.peers[0].as_str()), ("10.1.0.2:5432", "edge-c"));
    assert!(db.proxy_protocol && db.source_interface.is_some());
    assert_eq!((dns.protocol, dns.peers.len()), (Layer4Protocol::Udp, 2));
    assert_eq!(config.service_ranges[0].ports, 1..=1023);
    let listeners: Vec<_> = config
        .listeners()
        .map(|(vnet, of)| (vnet.map(VnetName::as_str), of.name.as_str(), of.protocol, of.idle.as_secs()))
        .collect();
    let expected = [
        (None, "files", Layer4Protocol::Ftp, 0),
        (None, "boot", Layer4Protocol::Tftp, 30),
        (Some("corp"), "web", Layer4Protocol::Tcp, 0),
    ];
    assert_eq!(listeners, expected);
    assert_eq!(config.connectors[0].service, ServiceRef::Target("10.3.0.2:21".parse().unwrap()));
    assert!(config.connectors[0].allows("10.1.0.9".parse().unwrap()));
}

#[test]
fn an_edge_has_one_nic_and_layer_4_alone() {
    let config = load("edge.toml");
    assert!(config.data.is_none() && config.vnets.is_empty());
    assert!(config.streams_with(&"gw-a".parse().unwrap()));
    let shown = config.to_toml(Detail::Changed);
    assert_eq!(Config::parse(&shown, Path::new("shown.toml")).unwrap(), config, "{shown}");
    for default in ["connect_timeout", "proxy_protocol", "peers", "max_mbps", "idle"] {
        assert!(!shown.contains(default), "{default}\n{shown}");
    }
    let all = config.to_toml(Detail::All);
    assert!(all.contains("connect_timeout = \"5s\"") && all.contains("peers = [\"gw-a\"]"), "{all}");
    // A connector of TCP has no idle limit, not even when everything is shown.
    assert!(!all.contains("idle"), "{all}");
}

#[test]
fn selectors_are_the_local_sides_or_else_cidr_and_routes() {
    let config = example();
    let selectors = |vnet: &str| {
        let vnet = config.vnet(vnet).unwrap();
        vnet.selectors().map(|prefix| prefix.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(selectors("corp"), ["172.16.2.0/24", "172.16.3.0/24", "172.16.8.0/28", "172.16.9.1/32"]);
    assert_eq!(selectors("six"), ["fd02::/64"]);
    assert_eq!(selectors("lab"), ["10.210.0.0/16", "fd00:210::/48", "fd00:210:0:2::/64"]);
}

#[test]
fn what_is_shown_reads_back_to_the_same_configuration() {
    let mut config = example();
    // Objects are shown resolved.
    for detail in [Detail::All, Detail::Changed] {
        let text = config.to_toml(detail);
        let again =
            Config::parse(&text, Path::new("shown.toml")).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        assert_eq!(again, config, "{text}");
    }
    config.limits.flows = 1000;
    let shown = config.to_toml(Detail::Changed);
    assert!(shown.contains("[limits]\nflows = 1000\n"), "{shown}");
    assert!(!shown.contains("[workers]") && !shown.contains("records"), "{shown}");
    assert!(config.to_toml(Detail::All).contains("records = 2048"));
    // Of monitors, too, only what differs.
    let monitors = shown.split("monitor]\n").skip(1).map(|rest| rest.split("\n\n").next().unwrap());
    let monitors: Vec<&str> = monitors.collect();
    assert_eq!(monitors[0], "protocol = \"tcp\"\ntarget = \"10.200.2.2\"\nport = 443");
    assert_eq!(monitors[1], "protocol = \"icmp\"\ntarget = \"10.200.3.2\"\ninterval = \"500ms\"");
    assert!(config.to_toml(Detail::All).contains("max_latency = \"1s\""));
}

#[test]
fn changes_that_need_a_restart_are_named() {
    let old = example();
    assert_eq!(Config::restart_fields(&old, &old), Vec::<&str>::new());
    let mut new = old.clone();
    new.vnets.clear();
    new.peers.clear();
    new.services.clear();
    new.service_ranges.clear();
    new.connectors.clear();
    new.tunnel.dead_after = Duration::from_secs(9);
    assert_eq!(Config::restart_fields(&old, &new), Vec::<&str>::new());
    new.workers.cpus = Cpus::List(vec![0, 0]);
    new.limits.flows = 1;
    new.limits.fragments = 1;
    new.limits.sessions = 1;
    new.limits.flow_log = 1;
    new.flow_log = None;
    new.throttle.egress_mbps = 1;
    new.tunnel.listen = None;
    new.data.as_mut().unwrap().interface = "data1".parse().unwrap();
    assert_eq!(
        Config::restart_fields(&old, &new),
        [
            "data.interface",
            "workers.cpus",
            "tunnel.listen",
            "limits.flows",
            "limits.fragments",
            "limits.sessions",
            "limits.flow_log"
        ]
    );
    new = old.clone();
    new.data = None;
    assert_eq!(
        Config::restart_fields(&old, &new),
        ["data.interface", "data.attach", "data.rings", "data.deny"]
    );
}
