//! Bad files: each case names the field, and the line that ends in `#!`, of the one error it holds.

mod address;
mod layer4;
mod monitor;
mod nat;
mod node;
mod service;
mod vnet;
mod whole;

use std::path::Path;

use gridway_config::{Config, ConfigErrors, Problem};

const NODE: &str = r#"
[node]
name = "gw-a"
domain = "lab.example"
role = "gateway"
[identity]
ca = "ca.crt"
certificate = "gw-a.crt"
private_key = "gw-a.key"
[management]
interface = "wan0"
"#;
const DATA: &str = "[data]\ninterface = \"data0\"\n";
const LISTEN: &str = "[tunnel]\nlisten = \"192.0.2.1:8443\"\n";
const PEER: &str = "[[peer]]\nname = \"gw-b\"\ndial = [\"192.0.2.2:8443\"]\n";
const VNET: &str = "[[vnet]]\nname = \"corp\"\ncidr = [\"10.200.0.0/16\"]\n";

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, Path::new("node.toml"))
}

/// The one error of `text`, which must stand in the marked line (1 without a mark).
fn refuse(text: &str, field: &str) -> Problem {
    let errors = match parse(text) {
        Ok(_) => panic!("accepted, expected an error at {field}:\n{text}"),
        Err(errors) => errors,
    };
    let [error] = errors.errors() else { panic!("one error at {field} was expected:\n{errors}\n{text}") };
    let line = text.lines().position(|line| line.ends_with("#!")).map_or(1, |line| line + 1);
    assert_eq!((error.field.as_str(), error.line), (field, Some(line)), "{error}\n{text}");
    assert!(error.to_string().starts_with(&format!("node.toml:{line}: ")), "{error}");
    error.problem.clone()
}

/// A good gateway with `extra` behind it.
fn with(extra: &str) -> String {
    [NODE, DATA, LISTEN, PEER, extra].concat()
}

fn with_vnet(extra: &str) -> String {
    with(&format!("{VNET}{extra}"))
}

#[test]
fn the_base_of_all_cases_is_good() {
    for text in [with(""), with_vnet(""), [NODE, DATA, PEER].concat()] {
        assert!(parse(&text).is_ok(), "{text}");
    }
}
