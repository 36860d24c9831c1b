//! Numbers that stand for names on the packet path.

/// Most peers one node may have had since it started.
pub const MAX_PEERS: usize = 4096;
/// Most virtual networks one node may have had since it started.
pub const MAX_VNETS: usize = 1024;
/// Most route monitors one node may have had since it started.
pub const MAX_MONITORS: usize = 4096;

/// A peer, by the number its name was given when it was first configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u16);

impl PeerId {
    /// The position of the peer in tables of [`MAX_PEERS`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A virtual network, by the number its name was given when it was first configured. The same number
/// announces it to peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VnetId(pub u16);

impl VnetId {
    /// The position of the vnet in tables of [`MAX_VNETS`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A route's monitor, by the number it was given when it was first configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorId(pub u16);

impl MonitorId {
    /// The position of the monitor in tables of [`MAX_MONITORS`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The names met so far. Numbers are never given twice, so a flow or a packet in flight cannot be
/// taken for one of a peer or vnet that was configured later.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    peers: Vec<String>,
    vnets: Vec<String>,
    monitors: Vec<String>,
}

/// So many names were configured over time that no number is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for {kind} {name}: {limit} have been configured since the start; restart the node")]
pub struct RegistryFull {
    kind: &'static str,
    name: String,
    limit: usize,
}

impl Registry {
    /// The number of a peer, given out now if the name is new.
    ///
    /// # Errors
    /// [`RegistryFull`] beyond [`MAX_PEERS`] names.
    pub fn peer(&mut self, name: &str) -> Result<PeerId, RegistryFull> {
        number(&mut self.peers, name, "peer", MAX_PEERS).map(PeerId)
    }

    /// The number of a vnet, given out now if the name is new.
    ///
    /// # Errors
    /// [`RegistryFull`] beyond [`MAX_VNETS`] names.
    pub fn vnet(&mut self, name: &str) -> Result<VnetId, RegistryFull> {
        number(&mut self.vnets, name, "vnet", MAX_VNETS).map(VnetId)
    }

    /// The number of a monitor, given out now if its description is new: a monitor that asks something
    /// else is another one.
    ///
    /// # Errors
    /// [`RegistryFull`] beyond [`MAX_MONITORS`] descriptions.
    pub fn monitor(&mut self, description: &str) -> Result<MonitorId, RegistryFull> {
        number(&mut self.monitors, description, "monitor", MAX_MONITORS).map(MonitorId)
    }
}

fn number(
    names: &mut Vec<String>,
    name: &str,
    kind: &'static str,
    limit: usize,
) -> Result<u16, RegistryFull> {
    let index = match names.iter().position(|known| known == name) {
        Some(index) => index,
        None if names.len() < limit => {
            names.push(name.to_owned());
            names.len() - 1
        }
        None => return Err(RegistryFull { kind, name: name.to_owned(), limit }),
    };
    Ok(u16::try_from(index).expect("limits are below 65,536"))
}
