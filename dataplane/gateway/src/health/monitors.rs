//! Monitors that went down or came up.

use std::collections::HashMap;

use gridway_control::Severity;
use gridway_forwarding::MonitorId;
use gridway_forwarding::monitor::MonitorView;
use gridway_forwarding::policy::{Probe, Vnet};

use crate::control::peer_names;
use crate::events::Kind;
use crate::node::Node;

/// How often each monitor had changed at the last look.
#[derive(Debug, Default)]
pub(super) struct Watched {
    changes: u64,
    seen: HashMap<MonitorId, u64>,
}

impl Watched {
    pub(super) fn look(&mut self, node: &Node) {
        let changes = node.monitors.changes();
        if changes == self.changes {
            return;
        }
        self.changes = changes;
        let (policy, names) = (node.policy.load(), peer_names(node));
        let views: HashMap<MonitorId, MonitorView> = node.monitors.views().into_iter().collect();
        for vnet in policy.vnets() {
            for probe in &vnet.probes {
                let Some(view) = views.get(&probe.id) else { continue };
                let peer = names.get(&probe.peer).map_or("?", String::as_str);
                for up in transitions(self.seen.get(&probe.id).copied(), view) {
                    record(node, (vnet, probe, peer), view, up);
                }
            }
        }
        self.seen = views.into_iter().map(|(id, view)| (id, view.changes)).collect();
    }
}

/// What a monitor did since it had changed `seen` times, each time whether it came up: no flap is lost between two
/// looks. It passes when it is configured, so with an odd number of changes it is down.
fn transitions(seen: Option<u64>, view: &MonitorView) -> impl Iterator<Item = bool> + use<> {
    // One that has changed less often was configured anew.
    let seen = seen.filter(|seen| *seen <= view.changes).unwrap_or(0);
    (seen + 1..=view.changes).map(|change| change.is_multiple_of(2))
}

fn record(node: &Node, (vnet, probe, peer): (&Vnet, &Probe, &str), view: &MonitorView, up: bool) {
    let monitor = probe.monitor;
    let target = match monitor.port {
        Some(port) => format!("{} port {port}", monitor.target),
        None => monitor.target.to_string(),
    };
    let subject = format!("{}: {target} via {peer}", vnet.name);
    if up {
        let message =
            format!("{target} answers again: the monitored route of {} via {peer} is available", vnet.name);
        node.events.record(Severity::Info, Kind::MonitorUp, &subject, message);
    } else {
        let why = view.last_failure.map_or_else(String::new, |failure| format!(" ({failure})"));
        let message = format!(
            "{target} has not answered {} probes{why}: the monitored route of {} via {peer} is not available",
            monitor.count, vnet.name
        );
        node.events.record(Severity::Error, Kind::MonitorDown, &subject, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(changes: u64) -> MonitorView {
        MonitorView {
            failures: 0,
            passes: changes.is_multiple_of(2),
            changes,
            last_failure: None,
            latency: None,
        }
    }

    #[test]
    fn a_flap_between_two_looks_is_not_lost() {
        let of = |seen, changes| transitions(seen, &view(changes)).collect::<Vec<bool>>();
        assert!(of(None, 0).is_empty());
        assert_eq!(of(None, 1), [false]);
        assert_eq!(of(Some(1), 4), [true, false, true]);
        assert!(of(Some(4), 4).is_empty());
        assert_eq!(of(Some(4), 1), [false], "configured anew");
    }
}
