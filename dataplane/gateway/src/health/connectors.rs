//! Connectors and port forwards that cannot listen.

use std::collections::BTreeMap;

use gridway_control::Severity;
use gridway_proxy::Side;

use crate::events::Kind;
use crate::node::Node;

/// Those that could not at the last look, and why.
#[derive(Debug, Default)]
pub(super) struct Connectors {
    failed: BTreeMap<String, String>,
}

impl Connectors {
    pub(super) fn look(&mut self, node: &Node) {
        let config = node.config.load();
        let failed: BTreeMap<String, String> = config
            .listeners()
            .filter_map(|(_, connector)| {
                let name = connector.name.as_str();
                Some((name.to_owned(), node.sessions.tally(Side::Connector, name).error()?))
            })
            .collect();
        for (name, error) in &failed {
            if self.failed.get(name) != Some(error) {
                let message = format!("{error}; it is tried again");
                node.events.record(Severity::Error, Kind::ConnectorUnavailable, name, message);
            }
        }
        for name in self.failed.keys().filter(|name| !failed.contains_key(*name)) {
            if config.listeners().any(|(_, connector)| connector.name.as_str() == name) {
                node.events.record(Severity::Info, Kind::ConnectorAvailable, name, "it listens");
            }
        }
        self.failed = failed;
    }
}
