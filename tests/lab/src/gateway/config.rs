//! A node's configuration as a builder. It writes the file that an operator would write.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::hub::Hub;
use crate::side::{DATA_INTERFACE, Side, WAN_INTERFACE};

/// A `[[peer]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Name of the node.
    pub name: String,
    /// Where to dial it; empty to wait for it.
    pub dial: Vec<String>,
    /// Connections to it.
    pub connections: u32,
}

/// Files that a node's configuration refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFiles {
    /// Directory that `gridway pki init` made.
    pub pki: PathBuf,
    /// Control socket.
    pub socket: PathBuf,
}

/// What goes into `node.toml`.
///
/// The usual tables have methods; whatever else a test needs (vnets, NAT, rules, services, limits) is added as TOML
/// text with [`NodeConfig::with`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    name: String,
    role: &'static str,
    data: Option<String>,
    management: String,
    listen: Option<SocketAddr>,
    ping_interval: String,
    dead_after: String,
    cpus: Option<Vec<u32>>,
    roles: Option<String>,
    polling: Option<String>,
    attach: Option<String>,
    deny: Vec<String>,
    log_level: String,
    peers: Vec<PeerConfig>,
    fragments: Vec<String>,
}

impl NodeConfig {
    /// Domain of every node in the laboratory.
    pub const DOMAIN: &'static str = "lab.example";

    /// The gateway of a side, listening on its WAN address; no peer, no vnet yet. Pings go out every 200 ms and a
    /// peer is dead after 1 s of silence, so that tests need not wait long.
    #[must_use]
    pub fn gateway(side: Side) -> Self {
        Self {
            name: side.node().to_owned(),
            role: "gateway",
            data: Some(DATA_INTERFACE.to_owned()),
            management: WAN_INTERFACE.to_owned(),
            listen: Some(side.tunnel()),
            ping_interval: "200ms".to_owned(),
            dead_after: "1s".to_owned(),
            cpus: None,
            roles: None,
            polling: None,
            attach: None,
            deny: Vec::new(),
            log_level: "debug".to_owned(),
            peers: Vec::new(),
            fragments: Vec::new(),
        }
    }

    /// The gateway in the middle, with both others as peers that it waits for.
    #[must_use]
    pub fn hub() -> Self {
        let hub = Self { listen: Some(Hub::tunnel()), ..Self::gateway(Side::A) }.named(Hub::NODE);
        hub.peer(Side::A.node(), &[]).peer(Side::B.node(), &[])
    }

    /// An edge in the place of a side's gateway: it listens nowhere.
    #[must_use]
    pub fn edge(side: Side) -> Self {
        Self { role: "edge", listen: None, ..Self::gateway(side) }
    }

    /// An edge with one NIC in the place of a side's gateway: no `[data]`, Layer 4 only.
    #[must_use]
    pub fn edge_without_data(side: Side) -> Self {
        Self { data: None, ..Self::edge(side) }
    }

    /// The usual pair: A waits, B dials A. Both know each other and nothing more.
    #[must_use]
    pub fn pair() -> [Self; 2] {
        [
            Self::gateway(Side::A).peer(Side::B.node(), &[]),
            Self::gateway(Side::B).peer(Side::A.node(), &[&Side::A.tunnel().to_string()]),
        ]
    }

    /// Name of the node.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the node another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Adds a peer with one connection; an empty `dial` waits for it.
    #[must_use]
    pub fn peer(self, name: &str, dial: &[&str]) -> Self {
        self.peer_with(PeerConfig {
            name: name.to_owned(),
            dial: dial.iter().map(|address| (*address).to_owned()).collect(),
            connections: 1,
        })
    }

    /// Adds a peer.
    #[must_use]
    pub fn peer_with(mut self, peer: PeerConfig) -> Self {
        self.peers.push(peer);
        self
    }

    /// Sets the connections of every peer added so far.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.peers.iter_mut().for_each(|peer| peer.connections = connections);
        self
    }

    /// Pins the workers to CPUs.
    #[must_use]
    pub fn cpus(mut self, cpus: &[u32]) -> Self {
        self.cpus = Some(cpus.to_vec());
        self
    }

    /// `workers.roles`: `auto`, `combined` or `separate`.
    #[must_use]
    pub fn roles(mut self, roles: &str) -> Self {
        self.roles = Some(roles.to_owned());
        self
    }

    /// `workers.polling`: `adaptive` or `busy`.
    #[must_use]
    pub fn polling(mut self, polling: &str) -> Self {
        self.polling = Some(polling.to_owned());
        self
    }

    /// `data.attach`: `auto`, `native` or `generic`.
    #[must_use]
    pub fn attach(mut self, mode: &str) -> Self {
        self.attach = Some(mode.to_owned());
        self
    }

    /// `data.deny`: source prefixes dropped in XDP.
    #[must_use]
    pub fn deny(mut self, prefixes: &[&str]) -> Self {
        self.deny = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        self
    }

    /// Liveness: how often to ping and after which silence a peer is dead, as duration strings (`"200ms"`).
    #[must_use]
    pub fn liveness(mut self, ping_interval: &str, dead_after: &str) -> Self {
        (self.ping_interval, self.dead_after) = (ping_interval.to_owned(), dead_after.to_owned());
        self
    }

    /// `log.level` (`debug` unless set; use `info` where speed is measured).
    #[must_use]
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.log_level);
        self
    }

    /// Appends TOML text: `[[vnet]]` with its tables, `[[service]]`, `[limits]`, …
    #[must_use]
    pub fn with(mut self, toml: &str) -> Self {
        self.fragments.push(toml.to_owned());
        self
    }

    /// Whether it has something of Layer 4.
    #[must_use]
    pub fn has_layer4(&self) -> bool {
        let tables = ["[[service]]", "[[service_range]]", "[[connector]]", "[[vnet.port_forward]]"];
        self.fragments.iter().any(|fragment| tables.iter().any(|table| fragment.contains(table)))
    }

    /// Drops everything that [`NodeConfig::with`] added.
    #[must_use]
    pub fn without_fragments(mut self) -> Self {
        self.fragments.clear();
        self
    }

    /// The file's text. A revocation list is named if there is one.
    #[must_use]
    pub fn to_toml(&self, files: &NodeFiles) -> String {
        let mut text = String::new();
        self.write(&mut text, files).expect("writing to a String does not fail");
        text
    }

    fn write(&self, out: &mut String, files: &NodeFiles) -> std::fmt::Result {
        let node = &self.name;
        writeln!(out, "[node]\nname = {}", quoted(node))?;
        writeln!(out, "domain = {}\nrole = {}\n", quoted(Self::DOMAIN), quoted(self.role))?;
        writeln!(out, "[identity]\nca = {}", path(&files.pki.join("ca.crt")))?;
        writeln!(out, "certificate = {}", path(&files.pki.join(format!("{node}.crt"))))?;
        writeln!(out, "private_key = {}", path(&files.pki.join(format!("{node}.key"))))?;
        let crl = files.pki.join("crl.pem");
        if crl.exists() {
            writeln!(out, "crl = {}", path(&crl))?;
        }
        if let Some(data) = &self.data {
            writeln!(out, "\n[data]\ninterface = {}\ndeny = {}", quoted(data), list(&self.deny))?;
            optional(out, "attach", self.attach.as_deref())?;
        }
        writeln!(out, "\n[management]\ninterface = {}", quoted(&self.management))?;
        writeln!(out, "\n[workers]")?;
        if let Some(cpus) = &self.cpus {
            writeln!(out, "cpus = {cpus:?}")?;
        }
        optional(out, "roles", self.roles.as_deref())?;
        optional(out, "polling", self.polling.as_deref())?;
        writeln!(out, "\n[tunnel]")?;
        optional(out, "listen", self.listen.map(|address| address.to_string()).as_deref())?;
        writeln!(out, "ping_interval = {}", quoted(&self.ping_interval))?;
        writeln!(out, "dead_after = {}", quoted(&self.dead_after))?;
        writeln!(out, "\n[log]\nlevel = {}", quoted(&self.log_level))?;
        writeln!(out, "\n[control]\nsocket = {}", path(&files.socket))?;
        for peer in &self.peers {
            writeln!(out, "\n[[peer]]\nname = {}\nconnections = {}", quoted(&peer.name), peer.connections)?;
            if !peer.dial.is_empty() {
                writeln!(out, "dial = {}", list(&peer.dial))?;
            }
        }
        self.fragments.iter().try_for_each(|fragment| writeln!(out, "\n{}", fragment.trim()))
    }
}

fn quoted(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn path(path: &Path) -> Value {
    quoted(&path.to_string_lossy())
}

fn list(items: &[String]) -> Value {
    Value::Array(items.iter().map(|item| quoted(item)).collect())
}

fn optional(out: &mut String, key: &str, value: Option<&str>) -> std::fmt::Result {
    value.map_or(Ok(()), |value| writeln!(out, "{key} = {}", quoted(value)))
}
