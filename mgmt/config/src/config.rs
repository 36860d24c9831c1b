//! The configuration as a whole.

use std::path::Path;

use serde::Serialize;

use crate::error::ConfigErrors;
use crate::file;
use crate::model::{
    Attach, Connector, Control, Data, FlowLog, FlowTimeouts, Identity, Limits, Log, Management, Node, Object,
    Peer, Service, ServiceRange, Throttle, Tunnel, Vnet, Workers,
};
use crate::name::{NodeName, VnetName};
use crate::read;
use crate::warning::ConfigWarning;

/// A configuration in which every field and every cross reference was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// The node.
    pub node: Node,
    /// Its credentials.
    pub identity: Identity,
    /// The NIC of local hosts. Always there on a gateway and where there are vnets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// The NIC of tunnels.
    pub management: Management,
    /// Threads.
    pub workers: Workers,
    /// Tunnels of all peers.
    pub tunnel: Tunnel,
    /// Limits of the node.
    pub throttle: Throttle,
    /// Timers of flows.
    pub flows: FlowTimeouts,
    /// Table sizes.
    pub limits: Limits,
    /// Log.
    pub log: Log,
    /// Flow log; off without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_log: Option<FlowLog>,
    /// Control socket.
    pub control: Control,
    /// Peers; names are unique and differ from the node's.
    #[serde(rename = "peer", skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    /// Objects, already resolved into the rules that use them; kept so that they can be shown.
    #[serde(rename = "object", skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Object>,
    /// Virtual networks; names are unique and selectors disjoint.
    #[serde(rename = "vnet", skip_serializing_if = "Vec::is_empty")]
    pub vnets: Vec<Vnet>,
    /// Targets that peers may reach by name; names are unique.
    #[serde(rename = "service", skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Targets that peers may name as `host:port`.
    #[serde(rename = "service_range", skip_serializing_if = "Vec::is_empty")]
    pub service_ranges: Vec<ServiceRange>,
    /// Listeners at addresses of the node; see [`Config::listeners`].
    #[serde(rename = "connector", skip_serializing_if = "Vec::is_empty")]
    pub connectors: Vec<Connector>,
}

impl Config {
    /// Longest file that is read, in bytes.
    pub const MAX_FILE: u64 = 64 << 20;

    /// Whether the data NIC needs an XDP program: for frames of vnets, for sources whose frames are to cost as little
    /// as they can, or because a mode of XDP is asked for.
    pub fn needs_xdp(&self) -> bool {
        let asked = |data: &Data| !data.deny.is_empty() || data.attach != Attach::Auto;
        !self.vnets.is_empty() || self.data.as_ref().is_some_and(asked)
    }

    /// Reads and validates a file. Paths within it become absolute, so that a later change of the
    /// working directory does not matter.
    ///
    /// # Errors
    /// Every error of the file, or the one reason why it could not be read.
    pub fn load(file: &Path) -> Result<Self, ConfigErrors> {
        Self::load_with_warnings(file).map(|(config, _)| config)
    }

    /// As [`Self::load`], with what is allowed in the file but cannot be meant, by line.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn load_with_warnings(file: &Path) -> Result<(Self, Vec<ConfigWarning>), ConfigErrors> {
        let (text, folder) = file::read(file)?;
        read::config(&text, file, &folder)
    }

    /// Reads the text of a file, for [`Self::parse`].
    ///
    /// # Errors
    /// The one reason why it could not be read.
    pub fn read_file(file: &Path) -> Result<String, ConfigErrors> {
        file::text(file)
    }

    /// Validates `text`. `file` is named in errors, and paths are resolved against its folder.
    ///
    /// # Errors
    /// Every error of the text.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        Self::parse_with_warnings(text, file).map(|(config, _)| config)
    }

    /// As [`Self::parse`], with what is allowed in the text but cannot be meant, by line.
    ///
    /// # Errors
    /// Those of [`Self::parse`].
    pub fn parse_with_warnings(text: &str, file: &Path) -> Result<(Self, Vec<ConfigWarning>), ConfigErrors> {
        read::config(text, file, file.parent().unwrap_or(Path::new("")))
    }

    /// The vnet of that name.
    #[must_use]
    pub fn vnet(&self, name: &str) -> Option<&Vnet> {
        self.vnets.iter().find(|vnet| vnet.name.as_str() == name)
    }

    /// The peer of that name.
    #[must_use]
    pub fn peer(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name.as_str() == name)
    }

    /// Connectors and port forwards, these with their vnet. Names are unique among all.
    pub fn listeners(&self) -> impl Iterator<Item = (Option<&VnetName>, &Connector)> {
        let forwards = self
            .vnets
            .iter()
            .flat_map(|vnet| vnet.port_forwards.iter().map(|forward| (Some(&vnet.name), forward)));
        self.connectors.iter().map(|connector| (None, connector)).chain(forwards)
    }

    /// Whether streams may be needed between this node and that peer: a connector or port forward leads to it, or there
    /// are services. Those that are not for this peer count too: it is told so, instead of finding nobody.
    #[must_use]
    pub fn streams_with(&self, peer: &NodeName) -> bool {
        let serves = !self.services.is_empty() || !self.service_ranges.is_empty();
        let leads = || self.listeners().any(|(_, connector)| connector.peer == *peer);
        self.peer(peer.as_str()).is_some() && (serves || leads())
    }
}
