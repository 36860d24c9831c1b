//! Functions that do not exist yet.

use gridway_config::Problem;

use crate::{NODE, PEER, parse, refuse, with, with_vnet};

/// Not supported yet, each with its field.
#[test]
fn functions_to_come_are_refused_and_never_ignored() {
    let monitor = "[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-b\"\nmonitor = { protocol = \"icmp\", target = \"10.200.2.2\" }#!";
    let object = "[[object]]\nname = \"o\"\nprefixes = [\"10.200.2.0/24\"]";
    let nat = "[[vnet.outside_nat]]\nlocal = \"172.16.2.0/28\"\nvirtual =";
    let connector = "[[connector]]#!\nname = \"c\"\nprotocol = \"tcp\"\nlisten = \"10.1.0.1:15432\"\npeer = \"gw-b\"\nservice = \"db\"";
    for (text, field) in [
        (with("[throttle]\negress_mbps = 10#!"), "throttle.egress_mbps"),
        (with("[throttle]\ningress_mbps = 10#!"), "throttle.ingress_mbps"),
        (with_vnet("relay = true#!"), "vnet[0].relay"),
        (with_vnet(&format!("address = \"10.200.0.1\"\n{monitor}")), "vnet[0].route[0].monitor"),
        (with_vnet(&format!("{nat} \"10.200.2.0/24\"#!")), "vnet[0].outside_nat[0].virtual"),
        (with_vnet(&format!("{nat} \"o\"#!\n{object}")), "vnet[0].outside_nat[0].virtual"),
        (
            with_vnet(
                "[[vnet.port_forward]]#!\nname = \"web\"\nlisten = \"172.16.9.1:443\"\npeer = \"gw-b\"\nservice = \"web\"",
            ),
            "vnet[0].port_forward[0]",
        ),
        (
            with(
                "[[service]]#!\nname = \"db\"\nprotocol = \"tcp\"\ntarget = \"10.2.0.2:5432\"\npeers = [\"gw-b\"]",
            ),
            "service[0]",
        ),
        (with("[[service_range]]#!\nprefixes = [\"10.2.0.0/24\"]\nports = \"1-1023\""), "service_range[0]"),
        (with(connector), "connector[0]"),
        ([NODE, PEER].concat().replace("\"gateway\"", "\"edge\"#!"), "node.role"),
    ] {
        let problem = refuse(&text, field);
        assert!(matches!(problem, Problem::NotSupportedYet { .. }), "{problem}");
        assert!(problem.to_string().contains("not supported yet"));
    }
}

#[test]
fn shapes_of_functions_to_come_are_judged_too() {
    let text = with(
        "[[service]]\nname = \"db\"\nprotocol = \"sctp\"\ntarget = \"10.2.0.2\"\npeers = [\"gw-x\"]\nport = 1",
    );
    let errors = parse(&text).unwrap_err();
    let fields: Vec<&str> = errors.errors().iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        ["service[0]", "service[0].protocol", "service[0].target", "service[0].peers[0]", "service[0].port"]
    );
    let text = with_vnet(
        "[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-b\"\nmonitor = { protocol = \"tcp\", target = \"x\", count = 0 }",
    );
    let errors = parse(&text).unwrap_err().to_string();
    for field in ["monitor.target", "monitor.port", "monitor.count", "vnet[0].address"] {
        assert!(errors.contains(field), "{field}\n{errors}");
    }
}
