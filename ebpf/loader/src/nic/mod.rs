//! The data NIC: what it is, and what must be switched off on it before it may carry traffic.

pub(crate) mod forwarding;
pub(crate) mod vlan;

use gridway_kernel::Interface;

use crate::SteerError;

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
        let request =
            Interface::named(interface).map_err(failed("the control socket"))?.ok_or_else(unknown)?;
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
