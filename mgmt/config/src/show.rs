//! The configuration as TOML again.

use serde::Serialize;
use toml::{Table, Value};

use crate::config::Config;
use crate::model::{
    Attach, Connector, Control, FlowTimeouts, Limits, Log, Monitor, Rings, Route, Service, Throttle, Tunnel,
    Workers, format_duration,
};

/// How much of the configuration is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What differs from the defaults.
    Changed,
    /// Defaults too.
    All,
}

impl Config {
    /// The configuration as TOML that [`Config::parse`] reads back to an equal one. Objects are
    /// shown resolved, paths absolute if the file was loaded.
    #[must_use]
    pub fn to_toml(&self, detail: Detail) -> String {
        let mut table = table(self);
        if detail == Detail::Changed {
            self.remove_defaults(&mut table);
        }
        toml::to_string(&table).expect("a TOML table has a text form")
    }

    fn remove_defaults(&self, config: &mut Table) {
        let data = Table::from_iter([
            ("attach".to_owned(), Value::try_from(Attach::default()).expect("an enum of names")),
            ("rings".to_owned(), Value::try_from(Rings::default()).expect("an enum of names")),
            ("deny".to_owned(), Value::Array(Vec::new())),
        ]);
        for (section, defaults) in [
            ("data", data),
            ("workers", table(&Workers::default())),
            ("tunnel", table(&Tunnel::default())),
            ("throttle", table(&Throttle::default())),
            ("flows", table(&FlowTimeouts::default())),
            ("limits", table(&Limits::default())),
            ("log", table(&Log::default())),
            ("control", table(&Control::default_for(&self.node.name))),
        ] {
            each(config, section, |section| remove(section, &defaults));
            if config.get(section).and_then(Value::as_table).is_some_and(Table::is_empty) {
                config.remove(section);
            }
        }
        let peer = Table::from_iter([("connections".to_owned(), Value::from(1))]);
        let vnet = Table::from_iter([
            ("nat".to_owned(), Value::from(true)),
            ("dark".to_owned(), Value::from(false)),
            ("relay".to_owned(), Value::from(false)),
        ]);
        let outside_nat = Table::from_iter([("proxy_arp".to_owned(), Value::from(true))]);
        let route = Table::from_iter([("metric".to_owned(), Value::from(i64::from(Route::DEFAULT_METRIC)))]);
        let monitor = Table::from_iter([
            ("interval".to_owned(), Value::from(format_duration(Monitor::DEFAULT_INTERVAL))),
            ("count".to_owned(), Value::from(i64::from(Monitor::DEFAULT_COUNT))),
            ("max_latency".to_owned(), Value::from(format_duration(Monitor::DEFAULT_MAX_LATENCY))),
        ]);
        let acl = ["protocol", "source", "destination"].map(|key| (key.to_owned(), Value::from("any")));
        let acl = Table::from_iter(acl);
        each(config, "peer", |section| remove(section, &peer));
        each(config, "vnet", |section| {
            remove(section, &vnet);
            each(section, "outside_nat", |section| remove(section, &outside_nat));
            each(section, "route", |section| {
                remove(section, &route);
                each(section, "monitor", |section| remove(section, &monitor));
            });
            each(section, "acl", |section| remove(section, &acl));
        });
        self.remove_layer4_defaults(config);
    }

    fn remove_layer4_defaults(&self, config: &mut Table) {
        let mut peers: Vec<&str> = self.peers.iter().map(|peer| peer.name.as_str()).collect();
        peers.sort_unstable();
        let range = Table::from_iter([("peers".to_owned(), Value::from(peers))]);
        let mut service = range.clone();
        let timeout = format_duration(Service::DEFAULT_CONNECT_TIMEOUT);
        service.insert("connect_timeout".to_owned(), Value::from(timeout));
        service.insert("proxy_protocol".to_owned(), Value::from(false));
        let connector = Table::from_iter([
            ("max_mbps".to_owned(), Value::from(0)),
            ("idle".to_owned(), Value::from(format_duration(Connector::DEFAULT_IDLE))),
        ]);
        let mut forward = connector.clone();
        forward.insert("protocol".to_owned(), Value::from(Connector::DEFAULT_PROTOCOL.as_str()));
        each(config, "service", |section| remove(section, &service));
        each(config, "service_range", |section| remove(section, &range));
        each(config, "connector", |section| remove(section, &connector));
        each(config, "vnet", |section| each(section, "port_forward", |section| remove(section, &forward)));
    }
}

fn table(value: &impl Serialize) -> Table {
    Table::try_from(value).expect("names, numbers, paths and prefixes have a TOML form")
}

/// Removes the values that equal their default.
fn remove(section: &mut Table, defaults: &Table) {
    section.retain(|key, value| defaults.get(key) != Some(value));
}

/// Visits the table or the tables under `key`.
fn each(parent: &mut Table, key: &str, mut visit: impl FnMut(&mut Table)) {
    match parent.get_mut(key) {
        Some(Value::Table(section)) => visit(section),
        Some(Value::Array(sections)) => sections.iter_mut().filter_map(Value::as_table_mut).for_each(visit),
        _ => {}
    }
}
