//! Layer 4 tables. None is supported yet, so every one is refused; their shapes are checked all the
//! same, so that a file written for a later version is judged in full.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use crate::document::Section;
use crate::error::Problem;
use crate::leaf::{Leaf, Ports};
use crate::model::DialTarget;
use crate::name::{InterfaceName, NodeName, ServiceName};
use crate::read::peer::PeerNames;
use crate::read::unique::Unique;

/// Refuses `[[service]]`, `[[service_range]]` and `[[connector]]`.
pub(crate) fn refuse(root: &Section<'_>, peers: &PeerNames) {
    let mut unique = Unique::new();
    for section in root.tables("service") {
        name(&section, &mut unique);
        let _protocol: Option<Protocol> = section.required("protocol");
        let _target: Option<HostPort> = section.required("target");
        let _interface: Option<InterfaceName> = section.optional("source_interface");
        let _timeout: Option<Duration> = section.optional("connect_timeout");
        let _proxy_protocol: Option<bool> = section.optional("proxy_protocol");
        peer_list(root, &section, peers);
        section.finish();
        section.refuse(Problem::NotSupportedYet { what: "services" });
    }
    for section in root.tables("service_range") {
        if section.list::<IpNet>("prefixes").is_none() {
            section.refuse_key("prefixes", Problem::Missing { expected: "a list of prefixes".to_owned() });
        }
        let _ports: Option<Ports> = section.required("ports");
        peer_list(root, &section, peers);
        section.finish();
        section.refuse(Problem::NotSupportedYet { what: "service ranges" });
    }
    let mut unique = Unique::new();
    for section in root.tables("connector") {
        name(&section, &mut unique);
        let _protocol: Option<Protocol> = section.required("protocol");
        let _listen: Option<SocketAddr> = section.required("listen");
        let _service: Option<ServiceOrTarget> = section.required("service");
        peer(&section, peers);
        let _allow = section.list::<IpNet>("allow");
        let _max_mbps = section.integer("max_mbps", 0, u32::MAX);
        let _idle: Option<Duration> = section.optional("idle");
        section.finish();
        section.refuse(Problem::NotSupportedYet { what: "connectors" });
    }
}

/// Refuses `[[vnet.port_forward]]`.
pub(crate) fn refuse_port_forwards(vnet: &Section<'_>, peers: &PeerNames) {
    let mut unique = Unique::new();
    for section in vnet.tables("port_forward") {
        name(&section, &mut unique);
        let _listen: Option<SocketAddr> = section.required("listen");
        let _service: Option<ServiceName> = section.required("service");
        peer(&section, peers);
        section.finish();
        section.refuse(Problem::NotSupportedYet { what: "port forwards" });
    }
}

fn name(section: &Section<'_>, unique: &mut Unique<ServiceName>) {
    if let Some(name) = section.required::<ServiceName>("name") {
        unique.check(section, "name", name);
    }
}

fn peer(section: &Section<'_>, peers: &PeerNames) {
    if let Some(name) = section.required::<NodeName>("peer") {
        peers.check(section, "peer", &name);
    }
}

fn peer_list(root: &Section<'_>, section: &Section<'_>, peers: &PeerNames) {
    for (place, name) in section.list::<NodeName>("peers").unwrap_or_default() {
        if let Some(problem) = peers.problem(&name) {
            root.refuse_at(&place, problem);
        }
    }
}

/// Checked only: nothing reads what these hold until their function exists.
struct Protocol;

impl Leaf for Protocol {
    const EXPECTED: &'static str = "\"tcp\", \"udp\", \"ftp\" or \"tftp\"";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        match value.as_str() {
            Some("tcp" | "udp" | "ftp" | "tftp") => Ok(Self),
            _ => Err(Self::invalid(value)),
        }
    }
}

struct HostPort;

impl Leaf for HostPort {
    const EXPECTED: &'static str = "host:port, such as 10.2.0.2:5432 or db.example:5432";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        let target = value.as_str().and_then(|text| DialTarget::parse(text, None));
        target.map(|_| Self).ok_or_else(|| Self::invalid(value))
    }
}

struct ServiceOrTarget;

impl Leaf for ServiceOrTarget {
    const EXPECTED: &'static str = "the name of a service of the peer, or host:port within one of its ranges";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        let fits = |text: &str| ServiceName::new(text).is_ok() || DialTarget::parse(text, None).is_some();
        value.as_str().filter(|text| fits(text)).map(|_| Self).ok_or_else(|| Self::invalid(value))
    }
}
