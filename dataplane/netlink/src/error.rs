//! Why following the kernel, or telling it something, failed.

use std::io;
use std::net::IpAddr;

/// Failure to follow an interface over rtnetlink.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// No interface of this name, in this network namespace.
    #[error("no network interface named {name:?}")]
    NoSuchInterface {
        /// The name asked for.
        name: String,
    },
    /// The interface has no 6-byte MAC address.
    #[error("interface {name} is not Ethernet: its hardware address has {length} bytes, not 6")]
    NotEthernet {
        /// The interface's name.
        name: String,
        /// Length of its hardware address in bytes.
        length: usize,
    },
    /// A system call on a netlink socket failed.
    #[error("netlink: cannot {action}: {source}")]
    Socket {
        /// What was being done.
        action: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The kernel answered a request with an error.
    #[error("the kernel refused to {action}: {source}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The answer to a request did not come, or could not be understood.
    #[error("the kernel's answer to {action:?} is missing or malformed")]
    NoAnswer {
        /// What was asked.
        action: &'static str,
    },
    /// The main routing table is larger than this program is willing to hold.
    #[error("more than {limit} routes in the main table")]
    TooManyRoutes {
        /// The limit.
        limit: usize,
    },
    /// What was to be read changed every time it was read.
    #[error("cannot {action}: they changed {attempts} times while they were read")]
    Unsettled {
        /// What was being done.
        action: &'static str,
        /// How often it was tried.
        attempts: usize,
    },
}

impl NetlinkError {
    /// The errno of a refusal by the kernel.
    pub(crate) fn refusal(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// Failure to make or remove [`crate::LocalRoutes`].
#[derive(Debug, thiserror::Error)]
pub enum LocalRouteError {
    /// Not an address that packets from other hosts can be for: unspecified, loopback, multicast, limited broadcast,
    /// link-local IPv6 or IPv4-mapped IPv6.
    #[error("{address} is no unicast address of more than one link, so it cannot have a local route")]
    NotAHost {
        /// The address asked for.
        address: IpAddr,
    },
    /// Somebody else has a route to this address in the table `local`; nothing was changed.
    #[error(
        "{address} has a route in the table \"local\" already, by routing protocol {protocol} (2: the kernel, for an \
         address of an interface)"
    )]
    Taken {
        /// The address asked for.
        address: IpAddr,
        /// Who made the route: `rtm_protocol` (rtnetlink(7)).
        protocol: u8,
    },
    /// The kernel refused to add or remove one route; those before it are done.
    #[error("local route to {address}: {source}")]
    Refused {
        /// The address of the route.
        address: IpAddr,
        /// The kernel's answer.
        source: NetlinkError,
    },
    /// The interface is not there, or the table could not be read.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}
