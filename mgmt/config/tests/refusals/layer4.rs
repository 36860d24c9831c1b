//! Connectors and port forwards, and Layer 4 as a whole.

use std::net::IpAddr;
use std::time::Duration;

use gridway_config::{Config, Connector, Layer4Protocol, Problem, ServiceRef};

use crate::service::{RANGE, SERVICE};
use crate::{NODE, PEER, parse, refuse, with, with_vnet};

pub(crate) fn connector(name: &str, protocol: &str, listen: &str) -> String {
    format!(
        "[[connector]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\npeer = \"gw-b\"\nservice = \"db\"\nlisten = \"{listen}\"\n"
    )
}

fn forward(name: &str, listen: &str) -> String {
    format!(
        "[[vnet.port_forward]]\nname = \"{name}\"\npeer = \"gw-b\"\nservice = \"web\"\nlisten = \"{listen}\"\n"
    )
}

/// Marks the last line.
fn mark(tables: &str) -> String {
    format!("{}#!", tables.trim_end())
}

pub(crate) fn accepted(text: &str) -> Config {
    parse(text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The only connector of a good gateway.
fn listener(tables: &str) -> Connector {
    accepted(&with(tables)).connectors.remove(0)
}

#[test]
fn what_is_left_out_has_its_default() {
    let text = with(&format!("[[peer]]\nname = \"gw-0\"\n{SERVICE}{RANGE}"));
    let config = accepted(&text);
    let service = &config.services[0];
    assert_eq!((service.protocol, service.target.port), (Layer4Protocol::Tcp, 5432));
    assert_eq!((service.connect_timeout, service.proxy_protocol), (Duration::from_secs(5), false));
    assert!(service.source_interface.is_none());
    let every = ["gw-0", "gw-b"].map(|name| name.parse().unwrap());
    assert_eq!((&service.peers[..], &config.service_ranges[0].peers[..]), (&every[..], &every[..]));
    for (protocol, idle) in [("tcp", 0), ("ftp", 0), ("udp", 60), ("tftp", 60)] {
        let connector = listener(&connector("c", protocol, "10.1.0.1:1"));
        assert_eq!(connector.idle, Duration::from_secs(idle), "{protocol}");
        assert_eq!((connector.allow.len(), connector.max_mbps), (0, 0));
        assert_eq!(connector.protocol.to_string(), protocol);
    }
    let config = accepted(&with_vnet(&forward("web", "10.200.9.1:443")));
    assert_eq!(config.vnets[0].port_forwards[0].protocol, Layer4Protocol::Tcp);
    assert_eq!(config.limits.sessions, 16_384);
}

#[test]
fn a_connector_asks_for_a_name_or_a_target() {
    let service = |text: &str| {
        listener(&connector("c", "tcp", "10.1.0.1:1").replace("\"db\"", &format!("\"{text}\""))).service
    };
    assert_eq!(service("db.main"), ServiceRef::Named("db.main".parse().unwrap()));
    for target in ["10.2.0.2:5432", "[fd00::2]:22", "db.example:5432"] {
        assert_eq!(service(target), ServiceRef::Target(target.parse().unwrap()));
        assert_eq!(service(target).to_string(), target);
    }
}

#[test]
fn ranges_hold_addresses_and_ports_and_connectors_admit_prefixes() {
    let range = accepted(&with(RANGE)).service_ranges.remove(0);
    let address = |text: &str| -> IpAddr { text.parse().unwrap() };
    assert!(range.contains(address("10.2.0.255"), 1023) && range.contains(address("10.2.0.0"), 1));
    assert!(!range.contains(address("10.2.1.0"), 22) && !range.contains(address("10.2.0.2"), 1024));
    let open = connector("c", "tcp", "10.1.0.1:1");
    let some = format!("{open}allow = [\"10.1.0.0/24\", \"10.9.0.9/32\"]");
    let admitted = ["10.1.0.9", "10.9.0.9", "10.9.0.8"].map(|text| {
        let client = address(text);
        (listener(&open).allows(client), listener(&some).allows(client))
    });
    assert_eq!(admitted, [(true, true), (true, true), (true, false)]);
}

#[test]
fn fields_of_connectors_and_port_forwards_are_judged() {
    for (field, value) in [
        ("name", "\"\""),
        ("listen", "\"10.200.0.1\""),
        ("listen", "\"10.200.0.1:0\""),
        ("listen", "\"host:1\""),
        ("peer", "\"gw-x\""),
        ("service", "\"a b\""),
        ("service", "\"db:0\""),
        ("protocol", "\"icmp\""),
        ("allow", "\"10.1.0.0/24\""),
        ("allow", "[]"),
        ("max_mbps", "-1"),
        ("max_mbps", "1000001"),
        ("idle", "\"0s\""),
        ("port", "1"),
    ] {
        let with_field = |tables: String| {
            let kept = tables.lines().filter(|line| !line.starts_with(&format!("{field} ")));
            let kept: String = kept.map(|line| format!("{line}\n")).collect();
            format!("{kept}{field} = {value}#!")
        };
        refuse(&with(&with_field(connector("c", "udp", "10.200.0.1:1"))), &format!("connector[0].{field}"));
        let forward = with_field(forward("f", "10.200.0.1:1") + "protocol = \"udp\"\n");
        refuse(&with_vnet(&forward), &format!("vnet[0].port_forward[0].{field}"));
    }
    let base = connector("c", "tcp", "10.200.0.1:1");
    for key in ["name", "protocol", "listen", "peer", "service"] {
        let gone: String =
            base.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        let gone = gone.replace("[[connector]]", "[[connector]]#!");
        assert!(matches!(refuse(&with(&gone), &format!("connector[0].{key}")), Problem::Missing { .. }));
    }
    let mixed = format!("{base}allow = [\"10.1.0.0/24\", \"fd00::/8\"]#!");
    assert!(matches!(refuse(&with(&mixed), "connector[0].allow[1]"), Problem::MixedFamilies { .. }));
}

#[test]
fn only_some_protocols_have_idle_limits_and_proxy_headers() {
    for (protocol, idle, proxy) in
        [("tcp", false, true), ("udp", true, false), ("ftp", false, false), ("tftp", true, false)]
    {
        let idle_text = with(&format!("{}idle = \"5s\"#!", connector("c", protocol, "10.1.0.1:1")));
        match idle {
            true => assert_eq!(accepted(&idle_text).connectors[0].idle, Duration::from_secs(5)),
            false => assert!(refuse(&idle_text, "connector[0].idle").to_string().contains("tftp")),
        }
        let service = SERVICE.replace("tcp", protocol);
        let proxy_text = with(&format!("{service}proxy_protocol = true#!"));
        match proxy {
            true => assert!(accepted(&proxy_text).services[0].proxy_protocol),
            false => assert!(refuse(&proxy_text, "service[0].proxy_protocol").to_string().contains("tcp")),
        }
        assert!(!accepted(&with(&format!("{service}proxy_protocol = false"))).services[0].proxy_protocol);
    }
    // Of a protocol that cannot be read nothing else is said.
    let unknown = connector("c", "sctp", "10.1.0.1:1").replace("\"sctp\"", "\"sctp\"#!");
    refuse(&with(&format!("{unknown}idle = \"5s\"")), "connector[0].protocol");
}

#[test]
fn connectors_and_port_forwards_share_their_names() {
    let same = |tables: String| tables.replace("name = \"web\"", "name = \"web\"#!");
    let (first, second) =
        (connector("web", "tcp", "10.1.0.1:1"), same(connector("web", "tcp", "10.1.0.1:2")));
    refuse(&with(&format!("{first}{second}")), "connector[1].name");
    let problem =
        refuse(&with_vnet(&format!("{}{second}", forward("web", "10.200.0.1:1"))), "connector[0].name");
    assert!(problem.to_string().contains("vnet[0].port_forward[0].name"), "{problem}");
    let other =
        format!("[[vnet]]\nname = \"v\"\ncidr = \"10.201.0.0/16\"\n{}", same(forward("web", "10.201.0.1:1")));
    refuse(&with_vnet(&format!("{}{other}", forward("web", "10.200.0.1:1"))), "vnet[1].port_forward[0].name");
}

#[test]
fn no_two_listeners_take_one_address_and_port() {
    for (first, second, clash) in [
        (("tcp", "10.1.0.1:80"), ("tcp", "10.1.0.1:80"), true),
        (("tcp", "10.1.0.1:80"), ("ftp", "10.1.0.1:80"), true),
        (("udp", "10.1.0.1:80"), ("tftp", "10.1.0.1:80"), true),
        (("tcp", "10.1.0.1:80"), ("udp", "10.1.0.1:80"), false),
        (("tcp", "10.1.0.1:80"), ("tcp", "10.1.0.1:81"), false),
        (("tcp", "10.1.0.1:80"), ("tcp", "10.1.0.2:80"), false),
        (("tcp", "0.0.0.0:80"), ("tcp", "10.1.0.1:80"), true),
        (("tcp", "10.1.0.1:80"), ("ftp", "0.0.0.0:80"), true),
        (("tcp", "0.0.0.0:80"), ("tcp", "0.0.0.0:80"), true),
        (("tcp", "0.0.0.0:80"), ("udp", "10.1.0.1:80"), false),
        (("tcp", "0.0.0.0:80"), ("tcp", "10.1.0.1:81"), false),
        (("tcp", "0.0.0.0:80"), ("tcp", "[fd01::1]:80"), false),
        (("tcp", "[::]:80"), ("tcp", "0.0.0.0:80"), false),
        (("tcp", "[::]:80"), ("tcp", "[fd01::1]:80"), true),
        (("ftp", "[fd01::1]:80"), ("tcp", "[::]:80"), true),
    ] {
        let connectors = connector("a", first.0, first.1) + &mark(&connector("b", second.0, second.1));
        let text = with(&connectors);
        if clash {
            let problem = refuse(&text, "connector[1].listen").to_string();
            for part in [first.1, second.1, "connector[0].listen in line "] {
                assert!(problem.contains(part), "{part}\n{problem}");
            }
        } else {
            accepted(&text);
        }
    }
    let clash = forward("a", "10.200.0.1:80") + &mark(&connector("b", "tcp", "0.0.0.0:80"));
    let problem = refuse(&with_vnet(&clash), "connector[0].listen");
    assert!(matches!(problem, Problem::Taken { .. }), "{problem}");
}

#[test]
fn listeners_leave_the_tunnel_its_address_and_port() {
    let problem = refuse(&with(&mark(&connector("c", "ftp", "192.0.2.1:8443"))), "connector[0].listen");
    assert!(problem.to_string().contains("tunnel.listen in line "), "{problem}");
    for (protocol, listen) in
        [("udp", "192.0.2.1:8443"), ("tcp", "192.0.2.1:8444"), ("tcp", "192.0.2.2:8443")]
    {
        accepted(&with(&connector("c", protocol, listen)));
    }
    let vnet = "[[vnet]]\nname = \"v\"\ncidr = \"192.0.2.0/24\"\n";
    refuse(
        &with(&format!("{vnet}{}", mark(&forward("f", "192.0.2.1:8443")))),
        "vnet[0].port_forward[0].listen",
    );
}

#[test]
fn port_forwards_have_any_address_that_hosts_can_call() {
    let vnet = |listen: &str| with_vnet(&mark(&forward("f", listen)));
    for listen in ["172.16.9.1:443", "10.200.9.1:443", "10.1.0.7:443", "[fd00::1]:443"] {
        accepted(&vnet(listen));
    }
    for listen in ["0.0.0.0:443", "[::]:443", "127.0.0.1:443", "224.0.0.1:443", "[ff02::1]:443"] {
        let problem = refuse(&vnet(listen), "vnet[0].port_forward[0].listen").to_string();
        assert!(problem.contains(listen), "{problem}");
    }
}

#[test]
fn datagrams_are_listened_for_at_one_address() {
    for (protocol, listen) in [("udp", "0.0.0.0:53"), ("tftp", "[::]:69")] {
        let problem = refuse(&with(&mark(&connector("c", protocol, listen))), "connector[0].listen");
        assert!(problem.to_string().contains("one address"), "{problem}");
    }
    accepted(&with(&connector("c", "udp", "10.1.0.1:53")));
}

#[test]
fn an_edge_for_layer_4_alone_has_no_data_nic_and_no_vnets() {
    let edge = |extra: &str| [NODE, PEER, extra].concat().replace("\"gateway\"", "\"edge\"");
    let config = accepted(&edge(&format!("{SERVICE}{RANGE}{}", connector("c", "tcp", "10.1.0.1:1"))));
    assert!(config.data.is_none());
    let vnet = "[[vnet]]#!\nname = \"corp\"\ncidr = \"10.200.0.0/16\"\n";
    for forwards in [String::new(), forward("web", "10.200.0.1:443")] {
        let problem = refuse(&edge(&format!("{vnet}{forwards}")), "vnet[0]").to_string();
        assert!(problem.contains("vnets need [data]"), "{problem}");
    }
    // With a data NIC an edge has both.
    let both = edge(&format!(
        "[data]\ninterface = \"data0\"\n{SERVICE}{}{}",
        vnet.replace("#!", ""),
        forward("web", "10.200.0.1:443")
    ));
    assert_eq!(accepted(&both).listeners().count(), 1);
}

#[test]
fn streams_are_held_with_peers_that_may_ask_or_be_asked() {
    let peers = "[[peer]]\nname = \"gw-c\"\n";
    let only_c = "peers = [\"gw-c\"]\n";
    for (tables, with_b, with_c) in [
        (String::new(), false, false),
        (SERVICE.to_owned(), true, true),
        // Whom a service is not for is told so.
        (format!("{SERVICE}{only_c}"), true, true),
        (format!("{RANGE}{only_c}"), true, true),
        (connector("c", "tcp", "10.1.0.1:1"), true, false),
    ] {
        let config = accepted(&with(&format!("{peers}{tables}")));
        let streams = |peer: &str| config.streams_with(&peer.parse().unwrap());
        assert_eq!((streams("gw-b"), streams("gw-c"), streams("gw-d")), (with_b, with_c, false), "{tables}");
    }
    let config = accepted(&with_vnet(&forward("f", "10.200.0.1:1")));
    assert!(config.streams_with(&"gw-b".parse().unwrap()));
    let listeners: Vec<_> =
        config.listeners().map(|(vnet, of)| (vnet.unwrap().as_str(), of.name.as_str())).collect();
    assert_eq!(listeners, [("corp", "f")]);
}

#[test]
fn all_errors_of_layer_4_are_shown_at_once() {
    let text = with(
        "[[service]]\nname = \"db\"\nprotocol = \"sctp\"\ntarget = \"10.2.0.2\"\npeers = [\"gw-x\"]\nport = 1\n[[service_range]]\nprefixes = []\n[[connector]]\nlisten = \"x\"\nidle = 5",
    );
    let errors = parse(&text).unwrap_err();
    let fields: Vec<&str> = errors.errors().iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "service[0].protocol",
            "service[0].target",
            "service[0].peers[0]",
            "service[0].port",
            "service_range[0].ports",
            "service_range[0].prefixes",
            "connector[0].name",
            "connector[0].peer",
            "connector[0].protocol",
            "connector[0].service",
            "connector[0].listen",
            "connector[0].idle",
        ],
        "{errors}"
    );
}
