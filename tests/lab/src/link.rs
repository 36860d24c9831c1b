//! Virtual Ethernet links between namespaces.

use crate::error::Result;
use crate::namespace::Namespace;

/// One end of a link.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// Where it lives.
    pub namespace: &'a Namespace,
    /// Interface name there (at most 15 bytes).
    pub interface: &'a str,
}

/// What a link is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSpec {
    /// Receive and transmit queues of each end.
    pub queues: u32,
    /// MTU of both ends, bytes.
    pub mtu: u32,
    /// Frames as on a wire: finished checksums and no segmentation or aggregation. A veth end hands unfinished
    /// checksums and 64 KiB super-packets to its peer otherwise, which no real NIC would deliver.
    pub wire_like: bool,
}

impl Default for LinkSpec {
    fn default() -> Self {
        Self { queues: 1, mtu: 1500, wire_like: true }
    }
}

/// Creates a veth pair with an end in each namespace, both up.
///
/// # Errors
/// [`crate::LabError::Failed`] with what `ip` or `ethtool` said.
pub fn connect(a: End<'_>, b: End<'_>, spec: LinkSpec) -> Result<()> {
    let LinkSpec { queues, mtu, .. } = spec;
    let shape = format!("mtu {mtu} numtxqueues {queues} numrxqueues {queues}");
    a.namespace.ip(&format!(
        "link add {} {shape} type veth peer name {} {shape} netns {}",
        a.interface,
        b.interface,
        b.namespace.path().display(),
    ))?;
    for end in [a, b] {
        if spec.wire_like {
            end.namespace.run(
                "ethtool",
                ["-K", end.interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off"],
            )?;
        }
        end.namespace.ip(&format!("link set {} up", end.interface))?;
    }
    Ok(())
}
