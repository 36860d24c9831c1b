//! `[[vnet.route]]`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use crate::document::{Place, Section};
use crate::error::Problem;
use crate::leaf::Leaf;
use crate::model::Route;
use crate::name::NodeName;
use crate::read::peer::PeerNames;

pub(crate) fn routes(vnet: &Section<'_>, peers: &PeerNames) -> Vec<(Place, Route)> {
    let mut routes = Vec::new();
    let mut seen: HashMap<(IpNet, NodeName), Place> = HashMap::new();
    for section in vnet.tables("route") {
        let to: Option<IpNet> = section.required("to");
        let via: Option<NodeName> = section.required("via");
        let metric = section.integer("metric", 1, Route::MAX_METRIC.into());
        if let Some(monitor) = section.table("monitor") {
            check_monitor(vnet, &monitor);
        }
        section.finish();
        if let Some(via) = &via {
            peers.check(&section, "via", via);
        }
        let (Some(to), Some(via)) = (to, via) else {
            continue;
        };
        if let Some(first) = seen.get(&(to, via.clone())) {
            let (found, first, line) =
                (format!("the route to {to} via {via}"), first.field.clone(), first.line);
            section.refuse(Problem::Duplicate { found, first, line });
        } else {
            seen.insert((to, via.clone()), section.place());
        }
        let metric = metric.and_then(|metric| u8::try_from(metric).ok()).unwrap_or(Route::DEFAULT_METRIC);
        routes.push((section.place_of("to"), Route { to, via, metric }));
    }
    routes
}

/// Monitors are not supported yet; their shape is checked all the same.
fn check_monitor(vnet: &Section<'_>, monitor: &Section<'_>) {
    let protocol = monitor.required("protocol");
    let _target: Option<IpAddr> = monitor.required("target");
    let port = monitor.integer("port", 1, u16::MAX.into());
    let _interval: Option<Duration> = monitor.optional("interval");
    let _count = monitor.integer("count", 1, 1000);
    let _max_latency: Option<Duration> = monitor.optional("max_latency");
    monitor.finish();
    match protocol {
        Some(MonitorProtocol::Tcp) if monitor.value("port").is_none() => {
            let expected = "a port from 1 to 65535, because the protocol is tcp".to_owned();
            monitor.refuse_key("port", Problem::Missing { expected });
        }
        Some(MonitorProtocol::Icmp) if let Some(port) = port => {
            let expected = "no port, because the protocol is icmp".to_owned();
            monitor.refuse_key("port", Problem::Invalid { found: port.to_string(), expected });
        }
        _ => {}
    }
    if vnet.value("address").is_none() {
        vnet.refuse_key(
            "address",
            Problem::Missing { expected: "an IP address, which monitors need".to_owned() },
        );
    }
    monitor.refuse(Problem::NotSupportedYet { what: "route monitors" });
}

enum MonitorProtocol {
    Icmp,
    Tcp,
}

impl Leaf for MonitorProtocol {
    const EXPECTED: &'static str = "\"icmp\" or \"tcp\"";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        match value.as_str() {
            Some("icmp") => Ok(Self::Icmp),
            Some("tcp") => Ok(Self::Tcp),
            _ => Err(Self::invalid(value)),
        }
    }
}
