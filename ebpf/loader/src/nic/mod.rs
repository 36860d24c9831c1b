//! The data NIC: what it is, and what must be switched off on it before it may carry traffic.

mod ethtool;
mod forwarding;
mod ioctl;

use crate::SteerError;

/// Largest MTU whose frames fit one XDP buffer: a page of 4096 bytes, less XDP's headroom (256), the kernel's
/// `skb_shared_info` at its end (320) and the Ethernet header (14). A UMEM frame of AF_XDP is no larger.
pub const SINGLE_BUFFER_MTU: u32 = 4096 - 256 - 320 - 14;

/// An Ethernet interface of this network namespace.
#[derive(Clone, Debug)]
pub(crate) struct Nic {
    pub(crate) name: String,
    pub(crate) ifindex: u32,
    pub(crate) mac: [u8; 6],
    /// Bytes.
    pub(crate) mtu: u32,
}

impl Nic {
    /// Asks the kernel about the interface.
    pub(crate) fn query(interface: &str) -> Result<Self, SteerError> {
        let unknown = || SteerError::UnknownInterface { interface: interface.into() };
        let failed = |what| move |source| SteerError::Query { interface: interface.into(), what, source };
        let request = ioctl::InterfaceRequest::new(interface)
            .map_err(failed("the control socket"))?
            .ok_or_else(unknown)?;
        let ifindex = match request.index() {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Err(unknown()),
            other => other.map_err(failed("the index"))?,
        };
        let (hardware_type, mac) = request.hardware_address().map_err(failed("the MAC address"))?;
        if hardware_type != libc::ARPHRD_ETHER {
            return Err(SteerError::NotEthernet { interface: interface.into(), hardware_type });
        }
        let mtu = request.mtu().map_err(failed("the MTU"))?;
        Ok(Self { name: interface.into(), ifindex, mac, mtu })
    }
}

/// Refuses what cannot work, and switches off what must not be on.
pub(crate) fn prepare(nic: &Nic) -> Result<(), SteerError> {
    if nic.mtu > SINGLE_BUFFER_MTU {
        return Err(SteerError::MtuTooLarge { interface: nic.name.clone(), mtu: nic.mtu });
    }
    forwarding::switch_off(&nic.name)?;
    ethtool::switch_vlan_stripping_off(&nic.name)
}
