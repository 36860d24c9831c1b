//! The page for Prometheus, made anew for every look at it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gridway_control::{Counters, PeerRow, PeerState, Reply, Request, Status};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::api::Shared;

type Labels = Vec<(&'static str, String)>;

/// The page. A data plane that does not answer is a number of its own, and no failure.
pub(crate) async fn page(shared: &Shared) -> String {
    let mut page = Page { registry: Registry::default() };
    let node = &shared.node;
    let status = match node.ask(Request::Status).await {
        Ok(Reply::Status(status)) => Some(status),
        _ => None,
    };
    page.gauge("gridway_up", "Whether the data plane answers", u64::from(status.is_some()));
    if let Some(status) = status {
        page.status(&status);
    }
    if let Ok(Reply::Counters(counters)) = node.ask(Request::Counters).await {
        page.counters(&counters);
    }
    if let Ok(Reply::Peers(peers)) = node.ask(Request::Peers).await {
        page.peers(&peers);
    }
    if let Ok(Reply::Limits(limits)) = node.ask(Request::Limits).await {
        let rows = |number: fn(&gridway_control::LimitRow) -> u64| {
            limits.iter().map(move |row| (vec![("table", row.name.clone())], number(row)))
        };
        page.gauges("gridway_table_entries", "Entries of a bounded table", rows(|row| row.used));
        page.gauges("gridway_table_limit", "Most entries of a bounded table", rows(|row| row.limit));
        page.totals("gridway_table_refused", "Entries refused or evicted", rows(|row| row.refused));
    }
    page.own(shared);
    let mut text = String::new();
    prometheus_text::encode(&mut text, &page.registry).expect("a text grows as it needs to");
    text
}

struct Page {
    registry: Registry,
}

impl Page {
    fn gauges(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Gauge>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.registry.register(name, help, family);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.gauges(name, help, [(Vec::new(), value)]);
    }

    /// `name` without the `_total` that it is shown with.
    fn totals(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).inc_by(value);
        }
        self.registry.register(name, help, family);
    }

    fn total(&mut self, name: &str, help: &str, value: u64) {
        self.totals(name, help, [(Vec::new(), value)]);
    }

    fn status(&mut self, status: &Status) {
        let labels = vec![
            ("node", status.node.clone()),
            ("version", status.version.clone()),
            ("role", status.role.clone()),
        ];
        self.gauges("gridway_node_info", "The node", [(labels, 1)]);
        self.gauge("gridway_uptime_seconds", "Time since the start of the data plane", status.uptime_s);
        self.gauge("gridway_policy_generation", "Policies put in force", status.policy_generation);
        let pending = u64::from(status.config.pending.is_some());
        self.gauge("gridway_config_pending", "Whether a change awaits confirmation", pending);
        let refused = u64::from(status.last_reload_error.is_some());
        self.gauge("gridway_reload_refused", "Whether the last reload was refused", refused);
        let load = status.workers.iter().enumerate();
        let load = load.map(|(index, row)| (vec![("worker", index.to_string())], row.load_permille.into()));
        self.gauges("gridway_worker_load_permille", "Share of the last second awake", load);
    }

    fn counters(&mut self, counters: &Counters) {
        let (outbound, inbound) = (&counters.outbound, &counters.inbound);
        let by_direction = |out: u64, into: u64| {
            [("outbound", out), ("inbound", into)]
                .map(|(direction, value)| (vec![("direction", direction.to_owned())], value))
        };
        self.totals(
            "gridway_received_packets",
            "Packets received: from local hosts, out of tunnels",
            by_direction(outbound.rx_packets, inbound.rx_packets),
        );
        self.totals(
            "gridway_received_bytes",
            "Bytes received: from local hosts, out of tunnels",
            by_direction(outbound.rx_bytes, inbound.rx_bytes),
        );
        self.totals(
            "gridway_forwarded_packets",
            "Packets passed on: into tunnels, to local hosts",
            by_direction(outbound.tunnelled, inbound.delivered),
        );
        self.totals(
            "gridway_forwarded_bytes",
            "Bytes passed on: into tunnels, to local hosts",
            by_direction(outbound.tunnelled_bytes, inbound.delivered_bytes),
        );
        self.totals(
            "gridway_answered_packets",
            "Packets the node answered itself",
            by_direction(outbound.answered, inbound.answered),
        );
        self.total("gridway_relayed_packets", "Packets that went on to another peer", inbound.relayed);
        self.total("gridway_relayed_bytes", "Bytes that went on to another peer", inbound.relayed_bytes);
        self.total("gridway_to_kernel_packets", "Frames left to the kernel", outbound.to_kernel);
        self.total(
            "gridway_ecn_marked_packets",
            "Packets marked in place of an early drop",
            counters.ecn_marked,
        );
        self.total(
            "gridway_segments_coupled",
            "TCP segments sent to local hosts as part of a longer packet",
            counters.segments_coupled,
        );
        self.total("gridway_flows_created", "Flows made", counters.flows_created);
        self.total("gridway_flows_evicted", "Flows that gave way to a new one", counters.flows_evicted);
        self.gauge("gridway_held_packets", "Packets that wait", counters.held);
        let drops = [("outbound", &outbound.drops), ("inbound", &inbound.drops)];
        let drops = drops.into_iter().flat_map(|(direction, drops)| {
            drops.iter().map(move |(reason, count)| {
                (vec![("direction", direction.to_owned()), ("reason", reason.clone())], *count)
            })
        });
        self.totals("gridway_dropped_packets", "Packets dropped", drops);
    }

    fn peers(&mut self, peers: &[PeerRow]) {
        // One that is refused may bear the name of one that is configured.
        let mut peers: Vec<&PeerRow> = peers.iter().collect();
        peers.sort_by(|a, b| a.name.cmp(&b.name));
        peers.dedup_by(|later, first| later.name == first.name);
        let rows = |number: fn(&PeerRow) -> Option<u64>| {
            peers.iter().filter_map(move |row| Some((vec![("peer", row.name.clone())], number(row)?)))
        };
        let up = rows(|row| Some(u64::from(row.state == PeerState::Up)));
        self.gauges("gridway_peer_up", "Whether the tunnel is up", up);
        let round_trips = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, rtt_us) in rows(|row| row.rtt_us) {
            round_trips.get_or_create(&labels).set(Duration::from_micros(rtt_us).as_secs_f64());
        }
        let help = "Smoothed round trip within the tunnel";
        self.registry.register("gridway_peer_round_trip_seconds", help, round_trips);
        self.gauges(
            "gridway_peer_connections",
            "Connections that are up",
            rows(|row| Some(row.connections.into())),
        );
        self.totals(
            "gridway_peer_sent_bytes",
            "Bytes of packets sent to the peer",
            rows(|row| Some(row.tx_bytes)),
        );
        self.totals(
            "gridway_peer_received_bytes",
            "Bytes of packets received from the peer",
            rows(|row| Some(row.rx_bytes)),
        );
    }

    fn own(&mut self, shared: &Shared) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (store, webhook, doors) = (shared.store.counters(), &shared.webhook, &shared.doors);
        self.total("gridway_mgmt_not_kept", "Rows that the database could not keep", read(&store.not_kept));
        self.total("gridway_mgmt_database_damaged", "Databases moved aside", read(&store.damaged));
        self.total("gridway_mgmt_webhook_posted", "Events posted", read(&webhook.posted));
        self.total("gridway_mgmt_webhook_dropped", "Events that could not be posted", read(&webhook.dropped));
        self.gauge("gridway_mgmt_connections", "Connections of API clients", doors.open() as u64);
        self.total(
            "gridway_mgmt_refused_handshakes",
            "API clients whose handshake failed",
            read(&doors.refused),
        );
        self.total(
            "gridway_mgmt_crowded_connections",
            "API clients that found no room",
            read(&doors.crowded),
        );
        let requests = shared.requests.by_class().map(|(class, count)| (vec![("status", class)], count));
        self.totals("gridway_mgmt_requests", "Requests by status", requests);
    }
}
