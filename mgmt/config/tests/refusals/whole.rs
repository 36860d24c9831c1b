//! The file as a whole.

use gridway_config::{Config, Problem};

use crate::{parse, refuse, with};

#[test]
fn all_errors_of_a_file_are_shown_at_once_in_order() {
    let text = r#"
[node]
name = "GW"
domain = "lab.example"
role = "router"
[identity]
ca = "ca.crt"
[data]
interface = "a/b"
[management]
interface = "wan0"
[[peer]]
name = "gw-b"
connections = 99
[[vnet]]
name = "corp"
cidr = "10.200.0.1/16"
[[vnet.route]]
to = "10.200.2.0/24"
via = "gw-b"
metric = 0
colour = "red"
"#;
    let errors = parse(text).unwrap_err();
    let found: Vec<_> =
        errors.errors().iter().map(|error| (error.line.unwrap(), error.field.as_str())).collect();
    assert_eq!(
        found,
        [
            (3, "node.name"),
            (5, "node.role"),
            (6, "identity.certificate"),
            (6, "identity.private_key"),
            (9, "data.interface"),
            (14, "peer[0].connections"),
            (17, "vnet[0].cidr"),
            (21, "vnet[0].route[0].metric"),
            (22, "vnet[0].route[0].colour"),
        ],
        "{errors}"
    );
    assert_eq!(errors.to_string().lines().count(), found.len());
}

#[test]
fn all_errors_of_a_vnet_are_shown_at_once_in_order() {
    let vnet = r#"
[[vnet]]
name = "corp"
cidr = ["10.200.0.0/16", "fd00:200::/48"]
address = ["10.200.2.7", "10.200.9.9"]
[[vnet.inside_nat]]
local = "10.1.0.0/24"
virtual = "10.200.1.0/25"
[[vnet.outside_nat]]
local = "172.16.0.0/16"
virtual = "10.200.2.0/24"
[[vnet.outside_nat]]
local = "172.17.0.0/28"
virtual = "none"
[[vnet.outside_nat]]
local = "172.18.0.0/28"
virtual = "10.201.0.0/24"
[[vnet.route]]
to = "10.200.2.0/24"
via = "gw-x"
monitor = { protocol = "tcp", target = "10.200.3.1", interval = "1ms", count = 0, max_latency = "2m" }
[[vnet.route]]
to = "10.200.2.0/24"
via = "gw-b"
metric = 201
monitor = { protocol = "icmp", target = "x", port = 1 }
"#;
    let text = with(vnet);
    let errors = parse(&text).unwrap_err();
    let first = text.lines().position(|line| line == "[[vnet]]").unwrap();
    let found: Vec<_> =
        errors.errors().iter().map(|error| (error.line.unwrap() - first, error.field.as_str())).collect();
    assert_eq!(
        found,
        [
            (4, "vnet[0].address[0]"),
            (4, "vnet[0].address[1]"),
            (7, "vnet[0].inside_nat[0].virtual"),
            (10, "vnet[0].outside_nat[0].virtual"),
            (13, "vnet[0].outside_nat[1].virtual"),
            (16, "vnet[0].outside_nat[2].virtual"),
            (19, "vnet[0].route[0].via"),
            (20, "vnet[0].route[0].monitor.count"),
            (20, "vnet[0].route[0].monitor.interval"),
            (20, "vnet[0].route[0].monitor.max_latency"),
            (20, "vnet[0].route[0].monitor.port"),
            (20, "vnet[0].route[0].monitor.target"),
            (24, "vnet[0].route[1].metric"),
            (25, "vnet[0].route[1].monitor.port"),
            (25, "vnet[0].route[1].monitor.target"),
        ],
        "{errors}"
    );
}

#[test]
fn text_that_is_not_toml_names_its_line() {
    refuse("[node]\nname = #!", "");
    refuse("[node]\nname = \"a\"\nname = \"b\"#!", "");
    refuse("[node\n", "");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str| Config::load(&folder.path().join(name)).unwrap_err();
    assert!(matches!(load("none.toml").errors()[0].problem, Problem::Unreadable { .. }));
    let long = std::fs::File::create(folder.path().join("long.toml")).unwrap();
    long.set_len(Config::MAX_FILE + 1).unwrap();
    assert!(matches!(load("long.toml").errors()[0].problem, Problem::TooLong { .. }));
    std::fs::write(folder.path().join("latin1.toml"), b"# gr\xfcn\n").unwrap();
    assert!(matches!(load("latin1.toml").errors()[0].problem, Problem::Syntax { .. }));
}
