//! The node's own addresses in a vnet.

use std::net::IpAddr;

use gridway_config::Problem;

use crate::{VNET, parse, refuse, with, with_vnet};

const BOTH: &str = "[[vnet]]\nname = \"corp\"\ncidr = [\"10.200.0.0/16\", \"fd00:200::/48\"]\n";
const OUTSIDE: &str = "[[vnet.outside_nat]]\nlocal = \"172.16.2.0/28\"\nvirtual = \"10.200.2.0/24\"\n";

#[test]
fn one_address_or_one_of_each_family() {
    let addresses = |text: &str| parse(&with(text)).unwrap().vnets[0].address.clone();
    assert_eq!(addresses(VNET), Vec::<IpAddr>::new());
    let v4: IpAddr = "10.200.0.1".parse().unwrap();
    let v6: IpAddr = "fd00:200::1".parse().unwrap();
    assert_eq!(addresses(&format!("{BOTH}address = \"{v4}\"")), [v4]);
    assert_eq!(addresses(&format!("{BOTH}address = [\"{v4}\"]")), [v4]);
    let vnet = parse(&with(&format!("{BOTH}address = [\"{v6}\", \"{v4}\"]"))).unwrap().vnets.remove(0);
    assert_eq!(vnet.address, [v6, v4]);
    assert_eq!(vnet.address_like("192.0.2.1".parse().unwrap()), Some(v4));
    assert_eq!(vnet.address_like("2001:db8::1".parse().unwrap()), Some(v6));
}

#[test]
fn refuses_what_is_no_address_of_the_vnet() {
    for (value, field) in [
        ("\"10.201.0.1\"", "vnet[0].address"),
        ("\"10.200.0.0/16\"", "vnet[0].address"),
        ("7", "vnet[0].address"),
        ("[]", "vnet[0].address"),
        ("[\"10.200.0.1\", \"10.201.0.1\", 7]", "vnet[0].address[2]"),
        ("[\"10.200.0.1\", \"10.200.0.2\"]", "vnet[0].address[1]"),
        ("[\"fd00:200::1\", \"fd00:201::1\"]", "vnet[0].address[1]"),
    ] {
        let text = with(&format!("{BOTH}address = {value}#!"));
        let errors = parse(&text).unwrap_err();
        assert!(errors.errors().iter().any(|error| error.field == field), "{errors}");
    }
    let problem = refuse(&with_vnet("address = \"10.201.0.1\"#!"), "vnet[0].address");
    assert!(matches!(problem, Problem::OutsideCidr { .. }), "{problem}");
    let twice = with_vnet("address = [\"10.200.0.1\", \"10.200.0.2\"]#!");
    let problem = refuse(&twice, "vnet[0].address[1]").to_string();
    assert!(problem.contains("at most one address of each family"), "{problem}");
}

#[test]
fn an_address_of_a_remote_host_is_refused() {
    let vnet = |address: &str, entries: &str| with_vnet(&format!("address = \"{address}\"#!\n{entries}"));
    let problem = refuse(&vnet("10.200.2.9", OUTSIDE), "vnet[0].address").to_string();
    for part in ["10.200.2.9", "10.200.2.0/24", "vnet[0].outside_nat[0].virtual in line "] {
        assert!(problem.contains(part), "{part}\n{problem}");
    }
    let one_to_one = OUTSIDE.replace("/28", "/24");
    refuse(&vnet("10.200.2.9", &one_to_one), "vnet[0].address");
    let object = OUTSIDE.replace("10.200.2.0/24", "offices");
    let objects = "[[object]]\nname = \"offices\"\nprefixes = [\"10.200.7.0/24\", \"10.200.2.0/28\"]";
    refuse(&vnet("10.200.2.9", &format!("{object}{objects}")), "vnet[0].address");
    assert!(parse(&vnet("10.200.3.9", &format!("{object}{objects}"))).is_ok());
}

#[test]
fn an_address_may_lie_among_local_hosts_or_nowhere() {
    let inside = "[[vnet.inside_nat]]\nlocal = \"10.1.0.0/24\"\nvirtual = \"10.200.1.0/24\"\n";
    for address in ["10.200.1.254", "10.200.9.9"] {
        let text = with_vnet(&format!("address = \"{address}\"\n{inside}{OUTSIDE}"));
        assert!(parse(&text).is_ok(), "{address}");
    }
    // All of the vnet is remote but for what is local: the longer prefix says who has an address.
    let rest = OUTSIDE.replace("10.200.2.0/24", "10.200.0.0/16");
    let vnet = |address: &str| with_vnet(&format!("address = \"{address}\"#!\n{inside}{rest}"));
    assert!(parse(&vnet("10.200.1.254")).is_ok());
    refuse(&vnet("10.200.9.9"), "vnet[0].address");
    // Vnets are spaces of their own.
    let other = "[[vnet]]\nname = \"v\"\ncidr = \"10.200.0.0/16\"\naddress = \"10.200.2.9\"\n";
    let other = format!("{other}{}", OUTSIDE.replace("172.16.2.", "172.16.3.").replace("2.0/24", "5.0/24"));
    assert!(parse(&with_vnet(&format!("{OUTSIDE}{other}"))).is_ok());
}
