//! Rules that can never match: allowed, and told.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use gridway_config::{Concern, Config, ConfigWarning};

const NODE: &str = r#"
[node]
name = "gw-a"
domain = "lab.example"
role = "gateway"
[identity]
ca = "ca.crt"
certificate = "gw-a.crt"
private_key = "gw-a.key"
[data]
interface = "data0"
[management]
interface = "wan0"
[tunnel]
listen = "192.0.2.1:8443"
[[peer]]
name = "gw-b"
[[object]]
name = "servers"
prefixes = ["10.200.2.10/32", "10.200.2.64/28"]
"#;

const VNET: &str = "[[vnet]]\nname = \"corp\"\ncidr = \"10.200.0.0/16\"\n";

/// `vnet` and one rule a string; lines are 10, 20 and so on.
fn text(vnet: &str, rules: &[&str]) -> String {
    let rule = |(index, fields): (usize, &&str)| {
        format!("[[vnet.acl]]\nline = {}\naction = \"allow\"\n{fields}\n", 10 * (index + 1))
    };
    let rules: String = rules.iter().enumerate().map(rule).collect();
    format!("{NODE}{vnet}{rules}")
}

fn warnings(text: &str) -> Vec<ConfigWarning> {
    let parsed = Config::parse_with_warnings(text, Path::new("node.toml"));
    let (config, warnings) = parsed.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    assert_eq!(Config::parse(text, Path::new("node.toml")).unwrap(), config);
    warnings
}

/// Line of the n-th occurrence, from 0.
fn line_of(text: &str, part: &str, n: usize) -> usize {
    text.lines().enumerate().filter(|(_, line)| line.contains(part)).nth(n).unwrap().0 + 1
}

#[test]
fn a_shadowed_rule_is_told_with_its_place_and_the_rule_that_hides_it() {
    let text = text(
        VNET,
        &[
            "source = \"10.200.0.0/16\"",
            "protocol = \"tcp\"\nports = \"443\"\nsource = \"10.200.1.0/24\"",
            "protocol = \"tcp\"\nports = \"80-90\"",
            "protocol = \"tcp\"\nports = \"85\"\ndestination = \"servers\"",
        ],
    );
    let found: Vec<String> = warnings(&text).iter().map(ToString::to_string).collect();
    let line = |n| line_of(&text, "[[vnet.acl]]", n);
    assert_eq!(
        found,
        [
            format!(
                "node.toml:{}: vnet[0].acl[1]: line 20 can never match: line 10 matches all of it (any, 10.200.0.0/16 -> any)",
                line(1)
            ),
            format!(
                "node.toml:{}: vnet[0].acl[3]: line 40 can never match: line 30 matches all of it (tcp 80-90, any -> any)",
                line(3)
            ),
        ]
    );
}

#[test]
fn lines_order_the_rules_wherever_they_stand() {
    let text = text(VNET, &["source = \"10.200.1.0/24\"", "source = \"10.200.0.0/16\""]);
    assert_eq!(warnings(&text), []);
    let text = text.replace("line = 10\n", "line = 30\n");
    let found = warnings(&text);
    assert_eq!((found.len(), found[0].field.as_str()), (1, "vnet[0].acl[0]"));
    assert!(matches!(found[0].concern, Concern::Shadowed { line: 30, by: 20, .. }));
}

#[test]
fn rules_of_different_vnets_do_not_hide_each_other() {
    let other = VNET.replace("corp", "lab").replace("10.200.", "10.201.");
    let first = text(VNET, &["source = \"any\""]);
    let text = format!("{first}{other}[[vnet.acl]]\nline = 20\naction = \"drop\"\n");
    assert_eq!(warnings(&text), []);
}

#[test]
fn a_side_outside_of_the_cidr_is_told() {
    let rules = ["source = \"10.201.0.0/16\"", "source = \"fd00::/8\"", "destination = \"!10.0.0.0/8\""];
    let outside = text(VNET, &rules);
    let found: Vec<String> = warnings(&outside).iter().map(ToString::to_string).collect();
    let side = |key, n| line_of(&outside, key, n);
    assert_eq!(
        found,
        [
            format!(
                "node.toml:{}: vnet[0].acl[0].source: line 10 can never match: 10.201.0.0/16 lies outside of the vnet's cidr (10.200.0.0/16)",
                side("source = ", 0)
            ),
            format!(
                "node.toml:{}: vnet[0].acl[1].source: line 20 can never match: fd00::/8 lies outside of the vnet's cidr (10.200.0.0/16)",
                side("source = ", 1)
            ),
            format!(
                "node.toml:{}: vnet[0].acl[2].destination: line 30 can never match: !10.0.0.0/8 lies outside of the vnet's cidr (10.200.0.0/16)",
                side("destination = ", 0)
            ),
        ]
    );
    for inside in ["source = \"10.0.0.0/8\"", "source = \"10.200.1.1/32\"", "source = \"!10.200.0.0/24\"", ""]
    {
        assert_eq!(warnings(&text(VNET, &[inside])), [], "{inside}");
    }
}

#[test]
fn addresses_that_packets_can_have_beyond_the_cidr_are_not_told() {
    let route = "[[vnet.route]]\nto = \"172.16.0.0/12\"\nvia = \"gw-b\"\n";
    let rule = ["source = \"172.16.1.0/24\""];
    assert_eq!(warnings(&text(&format!("{VNET}{route}"), &rule)).len(), 1);
    assert_eq!(warnings(&text(&format!("{VNET}relay = true\n{route}"), &rule)), []);
    // Without NAT a local host may have any address.
    assert_eq!(warnings(&text(&format!("{VNET}nat = false\n"), &rule)), []);
}

#[test]
fn errors_come_without_warnings() {
    let text = text(VNET, &["source = \"any\"", "source = \"any\"", "source = \"nobody\""]);
    let errors = Config::parse_with_warnings(&text, Path::new("node.toml")).unwrap_err();
    assert_eq!(errors.errors().len(), 1);
}
