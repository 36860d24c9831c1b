//! The steering program, where it is attached, and its maps.

use std::{
    collections::BTreeSet,
    fmt,
    net::IpAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use aya::{
    Ebpf, include_bytes_aligned,
    maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, XskMap},
    programs::{Program, ProgramError, SchedClassifier, Xdp, links::FdLink},
};
use gridway_steer_abi::maps;
use ipnet::IpNet;

use crate::{
    Attach, AttachedMode, FateCounters, Listener, SINGLE_BUFFER_MTU, SteerError, attach,
    keys::{self, AddressData, ListenerData, PrefixData},
    nic::{self, Nic},
    sets::{self, SetKind},
};

/// The compiled program.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/steer.o"));

/// Where and how to attach.
#[derive(Clone, Copy, Debug)]
pub struct SteerOptions<'a> {
    /// Name of the data NIC, in the network namespace of the calling thread.
    pub interface: &'a str,
    /// XDP mode.
    pub attach: Attach,
}

/// The steering program for the data NIC. Dropping it detaches the program.
pub struct Steer {
    nic: Nic,
    wanted: Attach,
    sockets: XskMap<MapData>,
    mac: Array<MapData, u64>,
    own_addresses: HashMap<MapData, AddressData, u8>,
    proxied: LpmTrie<MapData, PrefixData, u8>,
    deny: LpmTrie<MapData, PrefixData, u8>,
    listeners: HashMap<MapData, ListenerData, u8>,
    counters: PerCpuArray<MapData, u64>,
    ebpf: Ebpf,
    /// Last: the kernel detaches the program when its link is closed.
    attached: Option<(FdLink, AttachedMode)>,
}

impl Steer {
    /// Prepares the NIC, and loads the program without attaching it: the kernel gets all frames.
    ///
    /// Preparing is: switch the kernel's forwarding off; switch receive VLAN stripping off. Both stay so after the
    /// end.
    ///
    /// # Errors
    /// Whatever keeps the NIC from being prepared, or the program from being loaded. The NIC may have been
    /// prepared by then.
    pub fn load(options: &SteerOptions<'_>) -> Result<Self, SteerError> {
        let nic = Nic::query(options.interface)?;
        nic::prepare(&nic)?;

        let mut ebpf = Ebpf::load(OBJECT)?;
        let mut mac = typed(&mut ebpf, maps::MAC)?;
        set_mac(&mut mac, nic.mac)?;
        let sockets = typed(&mut ebpf, maps::SOCKETS)?;
        let own_addresses = typed(&mut ebpf, maps::OWN_ADDRESSES)?;
        let proxied = typed(&mut ebpf, maps::PROXIED)?;
        let deny = typed(&mut ebpf, maps::DENY)?;
        let listeners = typed(&mut ebpf, maps::LISTENERS)?;
        let counters = typed(&mut ebpf, maps::COUNTERS)?;

        program::<Xdp>(&mut ebpf, maps::PROGRAM)?.load().map_err(SteerError::Verify)?;
        Ok(Self {
            nic,
            wanted: options.attach,
            sockets,
            mac,
            own_addresses,
            proxied,
            deny,
            listeners,
            counters,
            ebpf,
            attached: None,
        })
    }

    /// Attaches the program to the XDP hook, unless it is there; it leaves the tc hook then. For a moment it is
    /// at both, and frames for the kernel are counted twice.
    ///
    /// Until [`Self::set_own_addresses`] is called the kernel gets no unicast IP, and until
    /// [`Self::register_socket`] is called what is meant for a worker is dropped and counted.
    ///
    /// # Errors
    /// [`SteerError::MtuTooLarge`] above [`SINGLE_BUFFER_MTU`], [`SteerError::Attach`], [`SteerError::NoLink`] when
    /// the kernel refuses it: all is as before then.
    pub fn attach_xdp(&mut self) -> Result<(), SteerError> {
        if matches!(self.mode(), None | Some(AttachedMode::Tc)) {
            if self.nic.mtu > SINGLE_BUFFER_MTU {
                return Err(SteerError::MtuTooLarge { interface: self.nic.name.clone(), mtu: self.nic.mtu });
            }
            let program = program(&mut self.ebpf, maps::PROGRAM)?;
            self.attached = Some(attach::attach_xdp(program, &self.nic, self.wanted)?);
        }
        Ok(())
    }

    /// Attaches the program to the tc hook, if it is attached nowhere yet: it judges and counts frames as at the
    /// XDP hook, and drops those for a worker.
    ///
    /// # Errors
    /// [`SteerError::Verify`], [`SteerError::Attach`], [`SteerError::NoLink`] when the kernel refuses it, as one
    /// before Linux 6.6 does.
    pub fn attach_tc(&mut self) -> Result<(), SteerError> {
        if self.attached.is_none() {
            let program = program::<SchedClassifier>(&mut self.ebpf, maps::TC_PROGRAM)?;
            program.load().map_err(SteerError::Verify)?;
            self.attached = Some(attach::attach_tc(program, &self.nic)?);
        }
        Ok(())
    }

    /// How the program is attached, if it is.
    pub fn mode(&self) -> Option<AttachedMode> {
        self.attached.as_ref().map(|&(_, mode)| mode)
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

    /// The program for the XDP hook, for `BPF_PROG_TEST_RUN` and for finding it in `bpftool prog show`.
    ///
    /// # Errors
    /// [`SteerError::Object`] when it is not loaded, which [`Self::load`] rules out.
    pub fn xdp_fd(&self) -> Result<BorrowedFd<'_>, SteerError> {
        self.fd(maps::PROGRAM)
    }

    /// As [`Self::xdp_fd`], of the tc hook.
    ///
    /// # Errors
    /// [`SteerError::Verify`] when it is not loaded, which a successful [`Self::attach_tc`] rules out.
    pub fn tc_fd(&self) -> Result<BorrowedFd<'_>, SteerError> {
        self.fd(maps::TC_PROGRAM)
    }

    fn fd(&self, name: &'static str) -> Result<BorrowedFd<'_>, SteerError> {
        let program = self.ebpf.program(name).ok_or(SteerError::Object(name))?;
        Ok(program.fd().map_err(SteerError::Verify)?.as_fd())
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
        f.debug_struct("Steer").field("nic", &self.nic).field("mode", &self.mode()).finish_non_exhaustive()
    }
}

/// A program of the object.
fn program<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, SteerError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name).ok_or(SteerError::Object(name))?.try_into().map_err(SteerError::Verify)
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
