//! What can go wrong, and how to mend it.

use std::io;

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use gridway_kernel::SINGLE_BUFFER_MTU;

/// Errors of [`crate::Steer`].
#[derive(Debug, thiserror::Error)]
pub enum SteerError {
    /// There is no such interface in this network namespace.
    #[error("no interface named {interface:?} here: see `ip link`")]
    UnknownInterface {
        /// As configured.
        interface: String,
    },
    /// The interface is not Ethernet.
    #[error("{interface} is not an Ethernet interface (hardware type {hardware_type}, see linux/if_arp.h)")]
    NotEthernet {
        /// Interface name.
        interface: String,
        /// `ARPHRD_*`.
        hardware_type: u16,
    },
    /// The kernel did not tell something about the interface.
    #[error("cannot read {what} of {interface}: {source}")]
    Query {
        /// Interface name.
        interface: String,
        /// What was asked for.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another interface has the name by now.
    #[error("{interface} is another interface than at the start: start the node again")]
    Replaced {
        /// Interface name.
        interface: String,
    },
    /// Frames of this size do not fit one XDP buffer.
    #[error(
        "the MTU of {interface} is {mtu}, above {SINGLE_BUFFER_MTU}, which is what fits one XDP buffer: \
         `ip link set {interface} mtu {SINGLE_BUFFER_MTU}` or less, and start the node again"
    )]
    MtuTooLarge {
        /// Interface name.
        interface: String,
        /// Its MTU in bytes.
        mtu: u32,
    },
    /// The MTU is another one than when the program was loaded, and what receives frames was made for that.
    #[error("the MTU of {interface} is {mtu} and was {before} at the start: start the node again")]
    MtuChanged {
        /// Interface name.
        interface: String,
        /// Its MTU in bytes.
        mtu: u32,
        /// Bytes, when the program was loaded.
        before: u32,
    },
    /// The kernel could go on forwarding packets of the interface.
    #[error("cannot switch forwarding off: {path}: {source}; it must be writable, and must stay 0")]
    Forwarding {
        /// The switch.
        path: String,
        /// What came of writing it or reading it back.
        source: io::Error,
    },
    /// Tagged frames would look untagged.
    #[error(
        "{interface} strips VLAN tags on receipt ({feature}) and that cannot be switched off: {source}; \
         see `ethtool -k {interface}`"
    )]
    VlanStripping {
        /// Interface name.
        interface: String,
        /// Name of the feature as `ethtool` lists it.
        feature: String,
        /// What came of switching it off.
        source: io::Error,
    },
    /// The program or its maps could not be loaded.
    #[error(
        "cannot load the steering program: {0}; it needs Linux 6.1 and the capabilities BPF and NET_ADMIN (PERFMON \
         for the verifier), or root"
    )]
    Load(#[from] EbpfError),
    /// The verifier refused the program.
    #[error("the kernel refused the steering program: {0}")]
    Verify(#[source] ProgramError),
    /// The object does not hold what the loader expects: they were built from different sources.
    #[error("the steering object has no {0}: rebuild")]
    Object(&'static str),
    /// Neither mode, or not the one asked for, could be attached.
    #[error("cannot attach the steering program to {interface} in {mode} mode (MTU {mtu}): {source}{hint}")]
    Attach {
        /// Interface name.
        interface: String,
        /// How it was to be attached.
        mode: crate::AttachedMode,
        /// MTU of the interface in bytes.
        mtu: u32,
        /// The kernel's answer.
        source: Box<ProgramError>,
        /// What to do about it, with a leading separator; may be empty.
        hint: String,
    },
    /// The program would outlive the process.
    #[error(
        "the kernel attached the steering program to {interface} without a bpf_link, so it would outlive this \
         process: `ip link set {interface} xdp off`, and use Linux 6.1 or newer"
    )]
    NoLink {
        /// Interface name.
        interface: String,
    },
    /// A receive queue beyond the socket map.
    #[error("receive queue {queue} is beyond the limit of {limit} queues")]
    Queue {
        /// The queue.
        queue: u32,
        /// Number of queues that the map has room for.
        limit: u32,
    },
    /// A set is larger than its map.
    #[error("{count} {set} are more than the limit of {limit}")]
    TooMany {
        /// What is counted.
        set: &'static str,
        /// Distinct entries asked for.
        count: usize,
        /// Entries allowed.
        limit: usize,
    },
    /// An IPv6 address or prefix that stands for IPv4.
    #[error("{0} is an IPv4-mapped address: write it as IPv4")]
    Mapped(std::net::Ipv6Addr),
    /// A map could not be read or written.
    #[error("map {map}: {source}")]
    Map {
        /// Name of the map.
        map: &'static str,
        /// What the kernel or aya said.
        source: MapError,
    },
}
