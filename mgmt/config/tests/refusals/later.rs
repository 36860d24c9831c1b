//! Functions that do not exist yet.

use gridway_config::Problem;

use crate::{NODE, PEER, parse, refuse, with, with_vnet};

/// Not supported yet, each with its field.
#[test]
fn functions_to_come_are_refused_and_never_ignored() {
    let connector = "[[connector]]#!\nname = \"c\"\nprotocol = \"tcp\"\nlisten = \"10.1.0.1:15432\"\npeer = \"gw-b\"\nservice = \"db\"";
    for (text, field) in [
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
}
