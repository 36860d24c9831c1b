//! `[[service]]` and `[[service_range]]`.

use std::collections::HashMap;
use std::time::Duration;

use ipnet::IpNet;

use crate::document::{Place, Section};
use crate::error::Problem;
use crate::leaf::{Ports, quote};
use crate::model::{Layer4Protocol, Service, ServiceRange, format_duration};
use crate::name::{NodeName, ServiceName};
use crate::read::peer::PeerNames;
use crate::read::unique::Unique;

pub(crate) fn services(root: &Section<'_>, peers: &PeerNames) -> Vec<Service> {
    let mut unique = Unique::new();
    root.tables("service").iter().filter_map(|section| service(section, peers, &mut unique)).collect()
}

fn service(section: &Section<'_>, peers: &PeerNames, unique: &mut Unique<ServiceName>) -> Option<Service> {
    let name: Option<ServiceName> = section.required("name");
    if let Some(name) = &name {
        unique.check(section, "name", name.clone());
    }
    let protocol: Option<Layer4Protocol> = section.required("protocol");
    let target = section.required("target");
    let source_interface = section.optional("source_interface");
    let connect_timeout = connect_timeout(section);
    let allowed = allowed_peers(section, peers);
    let proxy_protocol = section.optional("proxy_protocol").unwrap_or(false);
    section.finish();
    if proxy_protocol && protocol.is_some_and(|protocol| protocol != Layer4Protocol::Tcp) {
        let expected = "true only where protocol is \"tcp\"".to_owned();
        section.refuse_key("proxy_protocol", Problem::Invalid { found: "true".to_owned(), expected });
    }
    Some(Service {
        name: name?,
        protocol: protocol?,
        target: target?,
        source_interface,
        connect_timeout,
        peers: allowed,
        proxy_protocol,
    })
}

fn connect_timeout(section: &Section<'_>) -> Duration {
    let timeout = section.optional("connect_timeout").unwrap_or(Service::DEFAULT_CONNECT_TIMEOUT);
    if timeout > Service::MAX_CONNECT_TIMEOUT {
        let expected = format!("at most {}", format_duration(Service::MAX_CONNECT_TIMEOUT));
        let found = quote(&format_duration(timeout));
        section.refuse_key("connect_timeout", Problem::Invalid { found, expected });
    }
    timeout
}

pub(crate) fn service_ranges(root: &Section<'_>, peers: &PeerNames) -> Vec<ServiceRange> {
    root.tables("service_range").iter().filter_map(|section| service_range(section, peers)).collect()
}

fn service_range(section: &Section<'_>, peers: &PeerNames) -> Option<ServiceRange> {
    let prefixes: Option<Vec<(Place, IpNet)>> = section.list("prefixes");
    if prefixes.is_none() {
        section.refuse_key("prefixes", Problem::Missing { expected: "a list of prefixes".to_owned() });
    }
    refuse_empty(section, "prefixes", "at least one prefix");
    let ports = section.required("ports").map(|Ports(ports)| ports);
    let peers = allowed_peers(section, peers);
    section.finish();
    let prefixes = prefixes.unwrap_or_default().into_iter().map(|(_, prefix)| prefix).collect();
    Some(ServiceRange { prefixes, ports: ports?, peers })
}

/// The peers that `peers` names, each once; every configured one where it is left out.
fn allowed_peers(section: &Section<'_>, known: &PeerNames) -> Vec<NodeName> {
    let Some(list) = section.list::<NodeName>("peers") else {
        return known.all().cloned().collect();
    };
    refuse_empty(section, "peers", "at least one peer, or no such key: every configured peer");
    let mut seen: HashMap<&NodeName, &Place> = HashMap::new();
    for (place, name) in &list {
        if let Some(problem) = known.problem(name) {
            section.refuse_at(place, problem);
        } else if let Some(first) = seen.get(name) {
            let (first, line) = (first.field.clone(), first.line);
            section.refuse_at(place, Problem::Duplicate { found: name.to_string(), first, line });
        } else {
            seen.insert(name, place);
        }
    }
    list.into_iter().map(|(_, name)| name).collect()
}

/// Refuses a list that is there and empty.
pub(crate) fn refuse_empty(section: &Section<'_>, key: &'static str, expected: &str) {
    if let Some(value) = section.value(key)
        && value.is_list()
        && value.len() == 0
    {
        let (found, expected) = ("an empty list".to_owned(), expected.to_owned());
        value.refuse(Problem::Invalid { found, expected });
    }
}
