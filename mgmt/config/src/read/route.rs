//! `[[vnet.route]]`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use crate::document::{Place, Section};
use crate::error::Problem;
use crate::leaf::{Leaf, quote};
use crate::model::{Monitor, MonitorProtocol, Route, format_duration};
use crate::name::NodeName;
use crate::read::peer::PeerNames;

/// More probes would be load, not knowledge.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// How long a reply is waited for at most.
const LONGEST_LATENCY: Duration = Duration::from_secs(60);

/// `addresses` are the node's own in the vnet, which monitors need.
pub(crate) fn routes(vnet: &Section<'_>, peers: &PeerNames, addresses: &[IpAddr]) -> Vec<(Place, Route)> {
    let mut routes = Vec::new();
    let mut seen: HashMap<(IpNet, NodeName), Place> = HashMap::new();
    let mut monitored = false;
    for section in vnet.tables("route") {
        let to: Option<IpNet> = section.required("to");
        let via: Option<NodeName> = section.required("via");
        let metric = section.integer("metric", 1, Route::MAX_METRIC.into());
        let watched = section.table("monitor");
        monitored |= watched.is_some();
        let monitor = watched.and_then(|section| monitor(&section, to, addresses));
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
        routes.push((section.place_of("to"), Route { to, via, metric, monitor }));
    }
    if monitored && vnet.value("address").is_none() {
        let expected = format!("{}, which monitors need", IpAddr::EXPECTED);
        vnet.refuse_key("address", Problem::Missing { expected });
    }
    routes
}

/// The monitor of a route to `to`. `None`: wrong, and reported.
fn monitor(section: &Section<'_>, to: Option<IpNet>, addresses: &[IpAddr]) -> Option<Monitor> {
    let protocol = section.required("protocol");
    let target: Option<IpAddr> = section.required("target");
    let port = section.integer("port", 1, u16::MAX.into()).and_then(|port| u16::try_from(port).ok());
    let interval = section.optional("interval").unwrap_or(Monitor::DEFAULT_INTERVAL);
    let count = section.integer("count", 1, 1000).unwrap_or(Monitor::DEFAULT_COUNT);
    let max_latency = section.optional("max_latency").unwrap_or(Monitor::DEFAULT_MAX_LATENCY);
    section.finish();
    if interval < SHORTEST_INTERVAL {
        let (found, least) = (quote(&format_duration(interval)), format_duration(SHORTEST_INTERVAL));
        section.refuse_key("interval", Problem::Invalid { found, expected: format!("at least {least}") });
    }
    if max_latency > LONGEST_LATENCY {
        let (found, most) = (quote(&format_duration(max_latency)), format_duration(LONGEST_LATENCY));
        section.refuse_key("max_latency", Problem::Invalid { found, expected: format!("at most {most}") });
    }
    match protocol {
        Some(MonitorProtocol::Tcp) if section.value("port").is_none() => {
            let expected = "a port from 1 to 65535, because the protocol is tcp".to_owned();
            section.refuse_key("port", Problem::Missing { expected });
        }
        Some(MonitorProtocol::Icmp) if let Some(port) = port => {
            let expected = "no port, because the protocol is icmp".to_owned();
            section.refuse_key("port", Problem::Invalid { found: port.to_string(), expected });
        }
        _ => {}
    }
    if let Some(target) = target {
        check_target(section, target, to, addresses);
    }
    Some(Monitor { protocol: protocol?, target: target?, port, interval, count, max_latency })
}

fn check_target(section: &Section<'_>, target: IpAddr, to: Option<IpNet>, addresses: &[IpAddr]) {
    let found = target.to_string();
    if let Some(to) = to
        && !to.contains(&target)
    {
        // A reply from elsewhere would not pass the source check of this route.
        let expected = format!("an address that the route to {to} leads to");
        section.refuse_key("target", Problem::Invalid { found, expected });
    } else if addresses.contains(&target) {
        let expected = "an address other than this node's own".to_owned();
        section.refuse_key("target", Problem::Invalid { found, expected });
    } else if let Some(address) = addresses.first()
        && !addresses.iter().any(|address| address.is_ipv4() == target.is_ipv4())
    {
        let other = format!("the vnet's address {address}");
        section.refuse_key("target", Problem::MixedFamilies { found, other });
    }
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
