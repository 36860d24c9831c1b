//! The file as a whole.

use gridway_config::{Config, Problem};

use crate::{parse, refuse};

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
    std::fs::write(folder.path().join("long.toml"), vec![b'#'; 5 << 20]).unwrap();
    assert!(matches!(load("long.toml").errors()[0].problem, Problem::TooLong { .. }));
    std::fs::write(folder.path().join("latin1.toml"), b"# gr\xfcn\n").unwrap();
    assert!(matches!(load("latin1.toml").errors()[0].problem, Problem::Syntax { .. }));
}
