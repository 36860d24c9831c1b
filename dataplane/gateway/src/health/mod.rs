//! What is looked at once a second rather than told: certificates that end, tables that fill, monitors, connectors,
//! and how busy the workers are. For the main thread.

mod certificates;
mod connectors;
mod load;
mod monitors;
mod tables;

use std::time::Duration;

use gridway_wire::time::Nanos;

use crate::control::limits;
use crate::node::Node;
use certificates::Certificates;
use connectors::Connectors;
use load::Load;
use monitors::Watched;
use tables::Tables;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was seen at the last look.
#[derive(Debug)]
pub(crate) struct Health {
    looked: Nanos,
    certificates: Certificates,
    connectors: Connectors,
    load: Load,
    monitors: Watched,
    tables: Tables,
}

impl Health {
    pub(crate) fn new(node: &Node) -> Self {
        Self {
            looked: node.clock.now(),
            certificates: Certificates::default(),
            connectors: Connectors::default(),
            load: Load::new(node),
            monitors: Watched::default(),
            tables: Tables::default(),
        }
    }

    /// Looks, if it is time, and records what has changed.
    pub(crate) fn look(&mut self, node: &Node) {
        let now = node.clock.now();
        if now.since(self.looked) < INTERVAL {
            return;
        }
        self.looked = now;
        self.load.look(node, now);
        self.monitors.look(node);
        self.connectors.look(node);
        self.certificates.look(node);
        self.tables.look(&limits(node), &node.events);
    }
}
