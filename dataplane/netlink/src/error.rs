//! Why following the kernel failed.

use std::io;

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
