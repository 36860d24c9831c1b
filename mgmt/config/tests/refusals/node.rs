//! The node, its peers, and every field on its own.

use gridway_config::Problem;

use crate::{DATA, LISTEN, NODE, PEER, parse, refuse, with, with_vnet};

#[test]
fn refuses_values_that_a_field_does_not_take() {
    for (extra, field) in [
        ("[workers]\ncpus = []#!", "workers.cpus"),
        ("[workers]\ncpus = [0, 1, -1]#!", "workers.cpus[2]"),
        ("[workers]\ncpus = \"all\"#!", "workers.cpus"),
        ("[workers]\nroles = \"both\"#!", "workers.roles"),
        ("[workers]\npolling = 1#!", "workers.polling"),
        ("[flows]\nudp = 300#!", "flows.udp"),
        ("[flows]\nudp = \"300\"#!", "flows.udp"),
        ("[flows]\nudp = \"0s\"#!", "flows.udp"),
        ("[flows]\nmidstream = \"yes\"#!", "flows.midstream"),
        ("[limits]\nflows = 0#!", "limits.flows"),
        ("[limits]\nflows = 99999999999999999999#!", "limits.flows"),
        ("[limits]\nrecords = 1.5#!", "limits.records"),
        ("[log]\nlevel = \"loud\"#!", "log.level"),
        ("[log]\nformat = \"xml\"#!", "log.format"),
        ("[control]\nsocket = \"\"#!", "control.socket"),
        ("[limits]\nsessions = 0#!", "limits.sessions"),
        ("[limits]\nsessions = 1048577#!", "limits.sessions"),
        ("[limits]\nfragments = 0#!", "limits.fragments"),
        ("[limits]\nfragments = 1048577#!", "limits.fragments"),
        ("[throttle]\negress_mbps = -1#!", "throttle.egress_mbps"),
        ("[throttle]\negress_mbps = 1000001#!", "throttle.egress_mbps"),
        ("[throttle]\ningress_mbps = \"10\"#!", "throttle.ingress_mbps"),
        ("[throttle]\nburst = 1#!", "throttle.burst"),
        ("[[peer]]\nname = \"gw-c\"\ndial = \"192.0.2.3:1\"#!", "peer[1].dial"),
        ("[[peer]]\nname = \"gw-c\"\ndial = [\"192.0.2.3:0\"]#!", "peer[1].dial[0]"),
        ("[[peer]]\nname = \"gw-c\"\nconnections = 0#!", "peer[1].connections"),
        ("[[peer]]\nname = \"GW\"#!", "peer[1].name"),
        ("[[vnet]]\nname = \"v\"\ncidr = []#!", "vnet[0].cidr"),
        ("[[vnet]]\nname = \"v\"\ncidr = \"10.0.0.0/33\"#!", "vnet[0].cidr"),
        ("[[vnet]]\nname = \"v\"\ncidr = [\"10.0.0.0/16\", 7]#!", "vnet[0].cidr[1]"),
        ("[[vnet]]\nname = \"a b\"#!\ncidr = \"10.0.0.0/8\"", "vnet[0].name"),
        ("[[vnet]]\nname = \"v\"\ncidr = \"10.0.0.0/8\"\nmtu = 575#!", "vnet[0].mtu"),
        ("[[vnet]]\nname = \"v\"\ncidr = \"fd00::/48\"\nmtu = 1279#!", "vnet[0].mtu"),
        ("[[vnet]]\nname = \"v\"\ncidr = \"10.0.0.0/8\"\nmtu = 65536#!", "vnet[0].mtu"),
        ("vnet = 7#!", "peer[0].vnet"),
    ] {
        refuse(&with(extra), field);
    }
}

#[test]
fn bounds_themselves_are_good() {
    for most in ["0", "1", "1_000_000"] {
        let text = with(&format!("[throttle]\negress_mbps = {most}\ningress_mbps = {most}"));
        let throttle = parse(&text).unwrap().throttle;
        assert_eq!(throttle.egress_mbps, throttle.ingress_mbps);
        assert_eq!(throttle.egress_mbps.to_string(), most.replace('_', ""));
    }
    for fragments in [1, 1 << 20] {
        let text = with(&format!("[limits]\nfragments = {fragments}"));
        assert_eq!(parse(&text).unwrap().limits.fragments, fragments);
    }
    assert_eq!(parse(&with("")).unwrap().limits.fragments, 4096);
}

#[test]
fn refuses_unknown_keys_and_names_the_known_ones() {
    let problem = refuse(&with("[flows]\ntcp = \"5s\"#!"), "flows.tcp");
    let Problem::UnknownKey { known } = problem else { panic!("{problem}") };
    assert!(known.contains("tcp_established") && known.contains("midstream"), "{known}");
    refuse(&with("[extra]#!"), "extra");
    refuse(&with_vnet("[[vnet.acl]]\nline = 1\naction = \"allow\"\nport = \"1\"#!"), "vnet[0].acl[0].port");
}

#[test]
fn names_what_is_missing() {
    let role_gone = with("").replace("role = \"gateway\"\n", "").replace("[node]", "[node]#!");
    assert!(matches!(refuse(&role_gone, "node.role"), Problem::Missing { .. }));
    refuse(&with("").replace("[management]\ninterface = \"wan0\"\n", ""), "management");
    refuse(&with("[[vnet]]#!\nname = \"v\""), "vnet[0].cidr");
    refuse(&with_vnet("[[vnet.route]]#!\nto = \"10.200.2.0/24\""), "vnet[0].route[0].via");
    refuse(&with_vnet("[[vnet.inside_nat]]#!\nlocal = \"10.1.0.0/24\""), "vnet[0].inside_nat[0].virtual");
    refuse(&with_vnet("[[vnet.acl]]#!\naction = \"allow\""), "vnet[0].acl[0].line");
}

#[test]
fn set_host_bits_are_answered_with_the_right_prefix() {
    let problem =
        refuse(&with_vnet("[[vnet.route]]\nvia = \"gw-b\"\nto = \"10.200.2.7/24\"#!"), "vnet[0].route[0].to");
    assert_eq!(problem, Problem::HostBits { found: "10.200.2.7/24".into(), right: "10.200.2.0/24".into() });
    let problem =
        refuse(&with("").replace("\"data0\"", "\"data0\"\ndeny = [\"10.0.0.9\"]#!"), "data.deny[0]");
    assert!(problem.to_string().contains("10.0.0.9/32"), "{problem}");
}

#[test]
fn roles_ask_for_their_tables() {
    refuse(&[NODE, LISTEN].concat(), "data");
    refuse(&[NODE, DATA].concat(), "tunnel.listen");
    refuse(&[NODE, DATA, "[[peer]]\nname = \"gw-b\""].concat(), "tunnel.listen");
    refuse(&[NODE, DATA, PEER, "[[peer]]#!\nname = \"gw-c\""].concat(), "peer[1].dial");
    refuse(&with("").replace("\"wan0\"", "\"data0\"#!"), "management.interface");
    let edge = |text: String| text.replace("\"gateway\"", "\"edge\"");
    refuse(&edge(with("")).replace(":8443\"\n[[", ":8443\"#!\n[["), "tunnel.listen");
    assert!(parse(&edge([NODE, DATA, PEER].concat())).is_ok());
    refuse(&edge([NODE, DATA, "[[peer]]#!\nname = \"gw-b\""].concat()), "peer[0].dial");
}

#[test]
fn references_must_exist_and_names_be_unique() {
    let problem = refuse(
        &with_vnet("[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-x\"#!"),
        "vnet[0].route[0].via",
    );
    assert!(matches!(&problem, Problem::UnknownName { known, .. } if known == "gw-b"), "{problem}");
    for (extra, field) in [
        ("[[peer]]\nname = \"gw-a\"#!", "peer[1].name"),
        ("[[peer]]\nname = \"gw-b\"#!", "peer[1].name"),
        (
            "[[vnet]]\nname = \"v\"\ncidr = \"10.0.0.0/24\"\n[[vnet]]\nname = \"v\"#!\ncidr = \"10.0.1.0/24\"",
            "vnet[1].name",
        ),
        ("[[object]]\nname = \"o\"\nprefixes = [\"10.0.0.0/8\", \"none\"]#!", "object[0].prefixes[1]"),
        ("[[object]]\nname = \"o\"\nprefixes = []#!", "object[0].prefixes"),
        ("[[object]]\nname = \"any\"#!\nprefixes = [\"10.0.0.0/8\"]", "object[0].name"),
        ("[[object]]\nname = \"10.0.0.0\"#!\nprefixes = [\"10.0.0.0/8\"]", "object[0].name"),
        (
            "[[object]]\nname = \"o\"\nprefixes = [\"10.0.0.0/8\"]\n[[object]]\nname = \"o\"#!\nprefixes = [\"10.0.0.0/8\"]",
            "object[1].name",
        ),
    ] {
        refuse(&with(extra), field);
    }
    for (extra, field) in [
        ("[[vnet.acl]]\nline = 1\naction = \"drop\"\nsource = \"!none\"#!", "vnet[0].acl[0].source"),
        (
            "[[vnet.acl]]\nline = 1\naction = \"drop\"\n[[vnet.acl]]\nline = 1#!\naction = \"drop\"",
            "vnet[0].acl[1].line",
        ),
        (
            "[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-b\"\n[[vnet.route]]#!\nto = \"10.200.2.0/24\"\nvia = \"gw-b\"",
            "vnet[0].route[1]",
        ),
    ] {
        refuse(&with_vnet(extra), field);
    }
}

#[test]
fn a_flow_log_goes_somewhere() {
    let log = |fields: &str| with(&format!("[flow_log]#!\n{fields}"));
    let problem = refuse(&log(""), "flow_log");
    assert!(matches!(&problem, Problem::Missing { expected } if expected.contains("ipfix")), "{problem}");
    refuse(&with("[flow_log]\nipfix = \"collector:4739\"#!"), "flow_log.ipfix");
    refuse(&with("[flow_log]\nipfix = \"192.0.2.9:0\"#!"), "flow_log.ipfix");
    refuse(&with("[flow_log]\njson = \"\"#!"), "flow_log.json");
    refuse(&with("[limits]\nflow_log = 0#!"), "limits.flow_log");
    let json = parse(&with("[flow_log]\njson = \"flows.jsonl\"")).unwrap().flow_log.unwrap();
    assert_eq!((json.ipfix, json.json.unwrap().to_str()), (None, Some("flows.jsonl")));
    assert!(parse(&with("[flow_log]\nipfix = \"[2001:db8::9]:4739\"")).is_ok());
    assert_eq!(parse(&with("")).unwrap().flow_log, None);
}

#[test]
fn timers_and_paths_have_sense() {
    let tunnel = |fields: &str| [NODE, DATA, PEER, "[tunnel]\n", fields].concat();
    refuse(&tunnel("ping_interval = \"3s\"\ndead_after = \"3s\"#!"), "tunnel.dead_after");
    refuse(&tunnel("ping_interval = \"1ms\"#!"), "tunnel.ping_interval");
    refuse(&tunnel("listen = \"gw:8443\"#!"), "tunnel.listen");
    refuse(&tunnel("listen = \"192.0.2.1:0\"#!"), "tunnel.listen");
    refuse(&with(&format!("[control]\nsocket = \"/run/{}\"#!", "x".repeat(110))), "control.socket");
}
