//! Services and service ranges.

use gridway_config::Problem;

use crate::layer4::{accepted, connector};
use crate::{refuse, with};

pub(crate) const SERVICE: &str =
    "[[service]]\nname = \"db\"\nprotocol = \"tcp\"\ntarget = \"10.2.0.2:5432\"\n";
pub(crate) const RANGE: &str = "[[service_range]]\nprefixes = [\"10.2.0.0/24\"]\nports = \"1-1023\"\n";

#[test]
fn fields_of_services_are_judged() {
    for (field, value) in [
        ("protocol", "\"sctp\""),
        ("protocol", "6"),
        ("name", "\"a b\""),
        ("name", "\"a:1\""),
        ("target", "\"10.2.0.2\""),
        ("target", "\"10.2.0.2:0\""),
        ("target", "\"a b:1\""),
        ("source_interface", "\"a/b\""),
        ("connect_timeout", "5"),
        ("connect_timeout", "\"0s\""),
        ("connect_timeout", "\"120001ms\""),
        ("peers", "\"gw-b\""),
        ("peers", "[]"),
        ("proxy_protocol", "1"),
        ("port", "1"),
    ] {
        let kept = SERVICE.lines().filter(|line| !line.starts_with(&format!("{field} ")));
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        refuse(&with(&format!("{kept}{field} = {value}#!")), &format!("service[0].{field}"));
    }
    refuse(&with(&format!("{SERVICE}peers = [\"gw-b\", \"gw-x\"]#!")), "service[0].peers[1]");
    let twice = refuse(&with(&format!("{SERVICE}peers = [\"gw-b\", \"gw-b\"]#!")), "service[0].peers[1]");
    assert!(matches!(twice, Problem::Duplicate { .. }), "{twice}");
    for key in ["name", "protocol", "target"] {
        let gone: String =
            SERVICE.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        let gone = gone.replace("[[service]]", "[[service]]#!");
        assert!(matches!(refuse(&with(&gone), &format!("service[0].{key}")), Problem::Missing { .. }));
    }
    let same = SERVICE.replace("name = \"db\"", "name = \"db\"#!");
    refuse(&with(&format!("{SERVICE}{same}")), "service[1].name");
    // A service may have the name of a connector.
    accepted(&with(&format!("{SERVICE}{}", connector("db", "tcp", "10.1.0.1:1"))));
}

#[test]
fn fields_of_ranges_are_judged() {
    for (text, field) in [
        (RANGE.replace("[\"10.2.0.0/24\"]", "[]#!"), "prefixes"),
        (RANGE.replace("[\"10.2.0.0/24\"]", "\"10.2.0.0/24\"#!"), "prefixes"),
        (RANGE.replace("0.0/24\"]", "0.1/24\"]#!"), "prefixes[0]"),
        (RANGE.replace("]]\nprefixes = [\"10.2.0.0/24\"]", "]]#!"), "prefixes"),
        (RANGE.replace("\"1-1023\"", "\"1023-1\"#!"), "ports"),
        (RANGE.replace("]]\n", "]]#!\n").replace("ports = \"1-1023\"\n", ""), "ports"),
        (format!("{RANGE}peers = [\"gw-x\"]#!"), "peers[0]"),
        (format!("{RANGE}peers = []#!"), "peers"),
        (format!("{RANGE}name = \"r\"#!"), "name"),
    ] {
        refuse(&with(&text), &format!("service_range[0].{field}"));
    }
}
