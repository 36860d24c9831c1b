//! What rules match, and which of several decides.

use gridway_forwarding::policy::Ruling;
use gridway_wire::protocol::Protocol;
use gridway_wire::tuple::FiveTuple;

use crate::support::{CORP_A, HOST_A, HOST_B, Node, address, udp};

fn tuple(protocol: Protocol, source: &str, destination: &str, port: u16) -> FiveTuple {
    FiveTuple {
        source: address(source),
        destination: address(destination),
        protocol,
        source_port: 40_000,
        destination_port: port,
    }
}

/// One rule a string, in the keys of the configuration; lines count up.
fn node(rules: &[&str]) -> Node {
    let rules: String = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| format!("\n[[vnet.acl]]\nline = {}\n{rule}\n", index + 1))
        .collect();
    Node::new(&format!(
        "{CORP_A}{rules}\n[[object]]\nname = \"servers\"\nprefixes = [\"10.200.2.10/32\", \"10.200.2.64/28\"]\n"
    ))
}

/// The decision in one word.
fn ruling(rules: &[&str], tuple: &FiveTuple) -> &'static str {
    match node(rules).policy.vnet_named("corp").expect("it is configured").acl.judge(tuple) {
        Ruling::Allow(_) => "allow",
        Ruling::Deny(_) | Ruling::Reject(_) => "deny",
        Ruling::NoMatch => "no match",
    }
}

#[test]
fn no_rules_means_no_traffic() {
    assert_eq!(ruling(&[], &tuple(Protocol::TCP, HOST_A[1], HOST_B[1], 443)), "no match");
}

#[test]
fn the_first_rule_that_matches_decides() {
    let tuple = tuple(Protocol::TCP, HOST_A[1], HOST_B[1], 443);
    let (allow, drop) = ("action = \"allow\"", "action = \"drop\"");
    assert_eq!(ruling(&[allow, drop], &tuple), "allow");
    assert_eq!(ruling(&[drop, allow], &tuple), "deny");
    assert_eq!(ruling(&["action = \"drop\"\nprotocol = \"udp\"", allow], &tuple), "allow");
}

#[test]
fn lines_order_the_rules_wherever_they_stand() {
    let rules = "\n[[vnet.acl]]\nline = 20\naction = \"allow\"\n[[vnet.acl]]\nline = 10\naction = \"drop\"\n";
    let mut node = Node::new(&format!("{CORP_A}{rules}"));
    let reason = node.refusal(&udp(HOST_A[0], HOST_B[2])).expect("line 10 comes first");
    assert_eq!(reason.name(), "acl_deny");
}

#[test]
fn addresses_match_by_prefix_by_object_and_negated() {
    let cases = [
        ("source = \"10.200.1.0/24\"", "10.200.1.9", "10.200.2.1", true),
        ("source = \"10.200.1.0/24\"", "10.200.3.9", "10.200.2.1", false),
        ("source = \"!10.200.1.0/24\"", "10.200.1.9", "10.200.2.1", false),
        ("source = \"!10.200.1.0/24\"", "10.200.3.9", "10.200.2.1", true),
        ("destination = \"servers\"", "10.200.1.9", "10.200.2.10", true),
        ("destination = \"servers\"", "10.200.1.9", "10.200.2.70", true),
        ("destination = \"servers\"", "10.200.1.9", "10.200.2.11", false),
        ("destination = \"!servers\"", "10.200.1.9", "10.200.2.70", false),
        ("destination = \"!servers\"", "10.200.1.9", "10.200.2.11", true),
        ("destination = \"any\"", "10.200.1.9", "10.200.2.11", true),
        ("destination = \"10.200.2.0/24\"", "fd00::1", "fd00::2", false),
        ("destination = \"!10.200.2.0/24\"", "fd00::1", "fd00::2", true),
    ];
    for (field, source, destination, matches) in cases {
        let rule = format!("action = \"allow\"\n{field}");
        let expected = if matches { "allow" } else { "no match" };
        assert_eq!(ruling(&[&rule], &tuple(Protocol::UDP, source, destination, 53)), expected, "{field}");
    }
}

#[test]
fn a_port_or_range_is_that_of_the_destination_with_both_ends() {
    for (ports, port, matches) in [
        ("443", 443, true),
        ("443", 444, false),
        ("443", 40_000, false),
        ("8000-8999", 7999, false),
        ("8000-8999", 8000, true),
        ("8000-8999", 8999, true),
        ("8000-8999", 9000, false),
    ] {
        let rule = format!("action = \"allow\"\nprotocol = \"tcp\"\nports = \"{ports}\"");
        let expected = if matches { "allow" } else { "no match" };
        assert_eq!(
            ruling(&[&rule], &tuple(Protocol::TCP, HOST_A[1], HOST_B[1], port)),
            expected,
            "{ports} {port}"
        );
        assert_eq!(
            ruling(&[&rule], &tuple(Protocol::UDP, HOST_A[1], HOST_B[1], port)),
            "no match",
            "the rule is for tcp"
        );
    }
}

#[test]
fn icmp_means_the_icmp_of_the_packets_family() {
    let rule = ["action = \"allow\"\nprotocol = \"icmp\""];
    assert_eq!(ruling(&rule, &tuple(Protocol::ICMP, HOST_A[1], HOST_B[1], 7)), "allow");
    assert_eq!(ruling(&rule, &tuple(Protocol::ICMPV6, "fd00:1::2", "fd00:2::2", 7)), "allow");
    assert_eq!(ruling(&rule, &tuple(Protocol::UDP, HOST_A[1], HOST_B[1], 7)), "no match");
}

#[test]
fn a_protocol_number_matches_that_protocol_only() {
    let rule = ["action = \"allow\"\nprotocol = \"47\""];
    assert_eq!(ruling(&rule, &tuple(Protocol::GRE, HOST_A[1], HOST_B[1], 0)), "allow");
    assert_eq!(ruling(&rule, &tuple(Protocol::ESP, HOST_A[1], HOST_B[1], 0)), "no match");
}

#[test]
fn rules_see_virtual_addresses() {
    for (source, passes) in [(HOST_A[1], true), (HOST_A[0], false)] {
        let rule =
            format!("action = \"allow\"\nsource = \"{source}/32\"\ndestination = \"{}/32\"", HOST_B[1]);
        let refused = node(&[&rule]).refusal(&udp(HOST_A[0], HOST_B[2]));
        assert_eq!(refused.is_none(), passes, "{source}");
    }
}

#[test]
fn a_flow_is_judged_in_the_direction_it_began() {
    let rule = format!("action = \"allow\"\nsource = \"{}/32\"", HOST_A[1]);
    let mut node = node(&[&rule]);
    let reply = crate::support::answer(&udp(HOST_A[1], HOST_B[1]));
    assert!(node.inbound_refusal("gw-b", &reply).is_some(), "the far side may not begin");
    node.send(&udp(HOST_A[0], HOST_B[2]));
    assert_eq!(node.inbound_refusal("gw-b", &reply), None, "the answer belongs to the flow");
}
