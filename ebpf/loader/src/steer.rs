//! The maps of the steering program.

use std::{collections::BTreeSet, fmt, net::IpAddr, os::fd::AsRawFd};

use aya::{
    Ebpf, include_bytes_aligned,
    maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, XskMap},
};
use gridway_steer_abi::maps;
use ipnet::IpNet;

use crate::{
    FateCounters, Hooks, Listener, SteerError,
    keys::{self, AddressData, ListenerData, PrefixData},
    nic::{Nic, forwarding},
    sets::{self, SetKind},
};

/// The compiled program.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/steer.o"));

/// What the steering program decides by, and what it counted.
pub struct Steer {
    nic: Nic,
    sockets: XskMap<MapData>,
    mac: Array<MapData, u64>,
    own_addresses: HashMap<MapData, AddressData, u8>,
    proxied: LpmTrie<MapData, PrefixData, u8>,
    deny: LpmTrie<MapData, PrefixData, u8>,
    listeners: HashMap<MapData, ListenerData, u8>,
    counters: PerCpuArray<MapData, u64>,
}

impl Steer {
    /// Switches the kernel's forwarding off, which stays so after the end, and loads the program for `interface`, a
    /// name in the network namespace of the calling thread. Until it is attached, by its [`Hooks`], the kernel gets
    /// all frames.
    ///
    /// # Errors
    /// Whatever keeps the NIC from being prepared, or the program from being loaded. The NIC may have been prepared
    /// by then.
    pub fn load(interface: &str) -> Result<(Self, Hooks), SteerError> {
        let nic = Nic::query(interface)?;
        forwarding::switch_off(&nic.name)?;

        let mut ebpf = Ebpf::load(OBJECT)?;
        let mut mac = typed(&mut ebpf, maps::MAC)?;
        set_mac(&mut mac, nic.mac)?;
        let sockets = typed(&mut ebpf, maps::SOCKETS)?;
        let own_addresses = typed(&mut ebpf, maps::OWN_ADDRESSES)?;
        let proxied = typed(&mut ebpf, maps::PROXIED)?;
        let deny = typed(&mut ebpf, maps::DENY)?;
        let listeners = typed(&mut ebpf, maps::LISTENERS)?;
        let counters = typed(&mut ebpf, maps::COUNTERS)?;

        let hooks = Hooks::load(nic.clone(), ebpf)?;
        Ok((Self { nic, sockets, mac, own_addresses, proxied, deny, listeners, counters }, hooks))
    }

    /// MAC address of the data NIC, as the program knows it.
    pub fn mac(&self) -> [u8; 6] {
        self.nic.mac
    }

    /// Index of the data NIC.
    pub fn ifindex(&self) -> u32 {
        self.nic.ifindex
    }

    /// MTU of the data NIC in bytes, when the program was loaded.
    pub fn mtu(&self) -> u32 {
        self.nic.mtu
    }

    /// Reads the interface's MAC anew and steers by it: to be called when netlink reports a change.
    ///
    /// # Errors
    /// [`SteerError::UnknownInterface`] or [`SteerError::Query`] when the interface is gone; the old MAC then
    /// stays.
    pub fn refresh_mac(&mut self) -> Result<[u8; 6], SteerError> {
        let mac = Nic::query(&self.nic.name)?.mac;
        set_mac(&mut self.mac, mac)?;
        self.nic.mac = mac;
        Ok(mac)
    }

    /// Gives the frames of receive queue `queue` to an AF_XDP socket, which must be bound to that queue of this
    /// interface: the kernel drops frames for a socket of another queue, and only its own statistics say so.
    ///
    /// # Errors
    /// [`SteerError::Queue`] beyond the limit of queues, [`SteerError::Map`] when the kernel refuses the
    /// descriptor (not an AF_XDP socket, or not bound).
    pub fn register_socket(&mut self, queue: u32, fd: impl AsRawFd) -> Result<(), SteerError> {
        if queue >= maps::SOCKETS_LIMIT {
            return Err(SteerError::Queue { queue, limit: maps::SOCKETS_LIMIT });
        }
        self.sockets.set(queue, fd, 0).map_err(|source| SteerError::Map { map: maps::SOCKETS, source })
    }

    /// The addresses of the data interface, and the broadcast addresses of its IPv4 prefixes: packets to them
    /// go to the kernel. Addresses of other interfaces do not belong here.
    ///
    /// # Errors
    /// [`SteerError::TooMany`], [`SteerError::Mapped`], [`SteerError::Map`].
    pub fn set_own_addresses(&mut self, addresses: &[IpAddr]) -> Result<(), SteerError> {
        const KIND: SetKind =
            SetKind { map: maps::OWN_ADDRESSES, what: "own addresses", limit: maps::OWN_ADDRESSES_LIMIT };
        let wanted = addresses.iter().map(|&address| keys::address(address)).collect::<Result<_, _>>()?;
        sets::replace(&mut self.own_addresses, &KIND, &wanted)
    }

    /// The prefixes for which the data plane answers ARP and neighbour solicitations.
    ///
    /// # Errors
    /// [`SteerError::TooMany`], [`SteerError::Mapped`], [`SteerError::Map`].
    pub fn set_proxied(&mut self, prefixes: &[IpNet]) -> Result<(), SteerError> {
        const KIND: SetKind =
            SetKind { map: maps::PROXIED, what: "proxied prefixes", limit: maps::PROXIED_LIMIT };
        sets::replace(&mut self.proxied, &KIND, &prefix_set(prefixes)?)
    }

    /// The source prefixes whose packets are dropped.
    ///
    /// # Errors
    /// [`SteerError::TooMany`], [`SteerError::Mapped`], [`SteerError::Map`].
    pub fn set_deny(&mut self, prefixes: &[IpNet]) -> Result<(), SteerError> {
        const KIND: SetKind = SetKind { map: maps::DENY, what: "denied prefixes", limit: maps::DENY_LIMIT };
        sets::replace(&mut self.deny, &KIND, &prefix_set(prefixes)?)
    }

    /// Where Layer 4 listens: packets there go to the kernel.
    ///
    /// # Errors
    /// [`SteerError::TooMany`], [`SteerError::Mapped`], [`SteerError::Map`].
    pub fn set_listeners(&mut self, listeners: &[Listener]) -> Result<(), SteerError> {
        const KIND: SetKind =
            SetKind { map: maps::LISTENERS, what: "listeners", limit: maps::LISTENERS_LIMIT };
        let wanted = listeners.iter().map(keys::listener).collect::<Result<_, _>>()?;
        sets::replace(&mut self.listeners, &KIND, &wanted)
    }

    /// Adds one to the places where Layer 4 listens.
    ///
    /// # Errors
    /// [`SteerError::Mapped`], [`SteerError::Map`] when it is full.
    pub fn add_listener(&mut self, listener: &Listener) -> Result<(), SteerError> {
        let key = keys::listener(listener)?;
        self.listeners.insert(key, 1, 0).map_err(|source| SteerError::Map { map: maps::LISTENERS, source })
    }

    /// Removes one of the places where Layer 4 listens, if it is there.
    ///
    /// # Errors
    /// [`SteerError::Mapped`], [`SteerError::Map`].
    pub fn remove_listener(&mut self, listener: &Listener) -> Result<(), SteerError> {
        let key = keys::listener(listener)?;
        match self.listeners.remove(&key) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(source) => Err(SteerError::Map { map: maps::LISTENERS, source }),
        }
    }

    /// Frames by fate.
    ///
    /// # Errors
    /// [`SteerError::Map`] when the kernel does not hand the counters out.
    pub fn counters(&self) -> Result<FateCounters, SteerError> {
        FateCounters::read(&self.counters)
    }
}

impl fmt::Debug for Steer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steer").field("nic", &self.nic).finish_non_exhaustive()
    }
}

fn prefix_set(prefixes: &[IpNet]) -> Result<BTreeSet<keys::Prefix>, SteerError> {
    prefixes.iter().map(|&prefix| keys::prefix(prefix)).collect()
}

fn set_mac(map: &mut Array<MapData, u64>, mac: [u8; 6]) -> Result<(), SteerError> {
    map.set(0, maps::mac_word(mac), 0).map_err(|source| SteerError::Map { map: maps::MAC, source })
}

/// Takes a map out of the object, and checks that its layout is the one of `M`.
fn typed<M: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, SteerError> {
    let map = ebpf.take_map(name).ok_or(SteerError::Object(name))?;
    M::try_from(map).map_err(|source| SteerError::Map { map: name, source })
}
