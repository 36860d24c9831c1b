//! The management process's file: what it means, and every way to get it wrong.

use std::path::Path;
use std::time::Duration;

use gridway_config::{ConfigErrors, LocalSocket, Log, ManagementConfig, Problem, WebhookSeverity};

const BASE: &str = r#"
[node]
socket = "/run/gridway/gw-a.sock"
[api]
listen = "192.0.2.1:8444"
interface = "wan0"
operators_ca = "pki/operators/ca.crt"
certificate = "pki/gw-a-api.crt"
private_key = "pki/gw-a-api.key"
[store]
path = "gw-a.db"
"#;

fn parse(text: &str) -> Result<ManagementConfig, ConfigErrors> {
    ManagementConfig::parse(text, Path::new("/etc/gridway/mgmt.toml"))
}

/// The one error of `text`, which must be about `field` in the line that ends in `#!`.
fn refuse(text: &str, field: &str) -> Problem {
    let errors = parse(text).expect_err(field);
    let [error] = errors.errors() else { panic!("one error at {field} was expected:\n{errors}\n{text}") };
    let line = text.lines().position(|line| line.ends_with("#!")).map_or(1, |line| line + 1);
    assert_eq!((error.field.as_str(), error.line), (field, Some(line)), "{error}\n{text}");
    error.problem.clone()
}

#[test]
fn the_example_means_what_it_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mgmt.toml");
    let config = ManagementConfig::load(&file).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.node.socket, Path::new("/run/gridway/gw-a.sock"));
    assert_eq!(config.api.listen, "192.0.2.1:8444".parse().unwrap());
    assert_eq!((config.api.interface.as_str(), config.api.requests_per_second), ("wan0", 50));
    assert_eq!(config.api.operators_ca, file.with_file_name("pki/operators/ca.crt"));
    assert_eq!(config.api.operators_crl, Some(file.with_file_name("pki/operators/crl.pem")));
    assert_eq!((config.store.keep, config.store.versions), (Duration::from_secs(90 * 86_400), 1000));
    let webhook = config.webhook.unwrap();
    assert_eq!(
        (webhook.url.as_str(), webhook.severity),
        ("https://alerts.example/gridway", WebhookSeverity::Warning)
    );
    assert_eq!(config.local, LocalSocket { socket: "/run/gridway/mgmt/gw-a.sock".into() });
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = parse(BASE).unwrap();
    assert_eq!(config.api.requests_per_second, 50);
    assert_eq!((config.store.keep, config.store.versions), (Duration::from_secs(90 * 86_400), 1000));
    assert_eq!((config.webhook, config.log, config.api.operators_crl), (None, Log::default(), None));
    assert_eq!(config.local.socket, Path::new("/run/gridway/mgmt/gw-a.sock"));
    assert_eq!(config.store.path, Path::new("/etc/gridway/gw-a.db"));
    let without_port = parse(&BASE.replace("192.0.2.1:8444", "2001:db8::1")).unwrap();
    assert_eq!(without_port.api.listen, "[2001:db8::1]:8444".parse().unwrap());
}

#[test]
fn refuses_values_that_a_field_does_not_take() {
    for (extra, field) in [
        ("keep = \"36h\"#!", "store.keep"),
        ("keep = 90#!", "store.keep"),
        ("keep = \"0d\"#!", "store.keep"),
        ("versions = 0#!", "store.versions"),
        ("[webhook]\nurl = \"http://alerts.example/\"#!", "webhook.url"),
        ("[webhook]\nurl = \"https://\"#!", "webhook.url"),
        ("[webhook]\nurl = \"https://me:secret@alerts.example/\"#!", "webhook.url"),
        ("[webhook]\nurl = \"https://alerts.example/ x\"#!", "webhook.url"),
        ("[webhook]\nurl = \"https://alerts.example/\"\nseverity = \"loud\"#!", "webhook.severity"),
        ("[webhook]#!\nca = \"ca.crt\"", "webhook.url"),
        ("[webhook]\nurl = \"https://alerts.example/\"\nretry = 3#!", "webhook.retry"),
        ("[local]\nsocket = \"\"#!", "local.socket"),
        ("[log]\nlevel = \"loud\"#!", "log.level"),
        ("[tunnel]#!", "tunnel"),
    ] {
        refuse(&[BASE, extra].concat(), field);
    }
    for (good, bad, field) in [
        ("\"192.0.2.1:8444\"", "\"gw-a:8444\"#!", "api.listen"),
        ("\"192.0.2.1:8444\"", "\"192.0.2.1:0\"#!", "api.listen"),
        ("\"wan0\"", "\"wan 0\"#!", "api.interface"),
        ("\"wan0\"", "\"wan0\"\nrequests_per_second = 0#!", "api.requests_per_second"),
        ("\"wan0\"", "\"wan0\"\nport = 1#!", "api.port"),
        ("\"pki/gw-a-api.key\"", "7#!", "api.private_key"),
    ] {
        refuse(&BASE.replace(good, bad), field);
    }
    refuse(&BASE.replace("gw-a.sock\"", &format!("{}\"#!", "x".repeat(110))), "node.socket");
}

#[test]
fn all_errors_of_a_file_come_at_once() {
    let errors = parse("[api]\nlisten = 1\n[store]\nkeep = \"1s\"\n").unwrap_err();
    let fields: Vec<&str> = errors.errors().iter().map(|error| error.field.as_str()).collect();
    for field in [
        "node",
        "api.listen",
        "api.interface",
        "api.operators_ca",
        "api.certificate",
        "store.path",
        "store.keep",
    ] {
        assert!(fields.contains(&field), "{field}: {errors}");
    }
    assert!(matches!(refuse("[node#!", ""), Problem::Syntax { .. }));
}
