//! Objects, address spaces, rules and routes.

use gridway_config::{AclAction, Problem};

use crate::{parse, refuse, with, with_vnet};

#[test]
fn objects_that_hold_each_other_are_refused_once() {
    let object =
        |name: &str, members: &str| format!("[[object]]\nname = \"{name}\"\nprefixes = [{members}]\n");
    let cycle = with(
        &[
            object("outer", "\"a\""),
            object("a", "\"10.0.0.0/8\", \"b\"").replace("]\n", "]#!\n").replacen("]#!", "]", 1),
            object("b", "\"a\""),
        ]
        .concat(),
    );
    let problem = refuse(&cycle, "object[1].prefixes");
    assert!(matches!(&problem, Problem::Cycle { cycle } if cycle == "a -> b -> a"), "{problem}");
    refuse(&with("[[object]]\nname = \"a\"\nprefixes = [\"a\"]#!"), "object[0].prefixes");
    // A long chain is no cycle.
    let chain = (0..1000).map(|n| object(&format!("o{n}"), &format!("\"o{}\"", n + 1))).collect::<String>();
    let chain = with(&[chain, object("o1000", "\"10.0.0.0/8\"")].concat());
    let config = parse(&chain).unwrap();
    assert_eq!(config.objects[0].prefixes, config.objects[1000].prefixes);
}

#[test]
fn addresses_and_prefixes_belong_to_one_vnet() {
    refuse(&with("[[vnet]]\nname = \"v\"\ncidr = [\"10.0.0.0/8\", \"10.1.0.0/16\"]#!"), "vnet[0].cidr[1]");
    // Identity vnets share a selector.
    refuse(&with_vnet("[[vnet]]\nname = \"v\"\ncidr = \"10.200.7.0/24\"#!"), "vnet[1].cidr");
    // An outside NAT leads to what another vnet's route covers.
    let route = "[[vnet.route]]\nto = \"172.16.0.0/12\"\nvia = \"gw-b\"\n";
    let nat = "[[vnet]]\nname = \"v\"\ncidr = \"10.200.0.0/16\"\n[[vnet.outside_nat]]\nvirtual = \"10.200.2.0/24\"\nlocal = \"172.16.2.0/24\"#!";
    refuse(&with_vnet(&format!("{route}{nat}")), "vnet[1].outside_nat[0].local");
    // The same address space twice is fine where outside NATs tell the vnets apart.
    let other = "[[vnet.outside_nat]]\nvirtual = \"10.200.2.0/24\"\nlocal = \"172.16.2.0/24\"\n";
    assert!(parse(&with_vnet(&format!("{other}{}", nat.replace("172.16.2.", "172.16.3.")))).is_ok());
}

#[test]
fn rules_are_judged_field_by_field() {
    for (fields, field) in [
        ("ports = \"443\"#!", "ports"),
        ("protocol = \"icmp\"\nports = \"443\"#!", "ports"),
        ("protocol = \"any\"\nports = \"443\"#!", "ports"),
        ("protocol = \"132\"\nports = \"443\"#!", "ports"),
        ("protocol = \"tcp\"\nports = \"443-80\"#!", "ports"),
        ("protocol = \"tcp\"\nports = \"70000\"#!", "ports"),
        ("protocol = \"tcp\"\nports = 443#!", "ports"),
        ("protocol = \"sctp\"#!", "protocol"),
        ("protocol = \"256\"#!", "protocol"),
        ("source = \"10.0.0.1/8\"#!", "source"),
        ("source = \"!any\"#!", "source"),
        ("source = \"10.0.0.0/8\"\ndestination = \"fd00::/8\"#!", "destination"),
    ] {
        let text = with_vnet(&format!("[[vnet.acl]]\nline = 1\naction = \"allow\"\n{fields}"));
        refuse(&text, &format!("vnet[0].acl[0].{field}"));
    }
    refuse(&with_vnet("[[vnet.acl]]\nline = -1#!\naction = \"allow\""), "vnet[0].acl[0].line");
    refuse(&with_vnet("[[vnet.acl]]\nline = 1\naction = \"pass\"#!"), "vnet[0].acl[0].action");
    for action in [AclAction::Allow, AclAction::Reject, AclAction::Drop] {
        let text = with_vnet(&format!("[[vnet.acl]]\nline = 1\naction = \"{}\"", action.as_str()));
        assert_eq!(parse(&text).unwrap().vnets[0].acl[0].action, action);
    }
}

#[test]
fn metrics_run_from_1_to_200() {
    let route =
        |metric: &str| format!("[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-b\"\nmetric = {metric}");
    for metric in ["0", "201", "-1", "\"5\""] {
        refuse(&with_vnet(&format!("{}#!", route(metric))), "vnet[0].route[0].metric");
    }
    for metric in ["1", "200"] {
        assert!(parse(&with_vnet(&route(metric))).is_ok());
    }
}

#[test]
fn peers_may_be_relayed_between() {
    refuse(&with_vnet("relay = \"gw-b\"#!"), "vnet[0].relay");
    assert!(parse(&with_vnet("relay = true")).unwrap().vnets[0].relay);
    assert!(!parse(&with_vnet("")).unwrap().vnets[0].relay);
}
