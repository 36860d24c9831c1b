//! The laboratory itself.
//!
//! ```text
//!  side A                                                         side B
//!  h1 eth0 ---- data0 gwa wan0 ============== wan0 gwb data0 ---- eth0 h2
//!  10.1.0.2     10.1.0.1  192.0.2.1    192.0.2.2   10.2.0.1       10.2.0.2
//!  fd00:1::2    fd00:1::1 2001:db8::1  2001:db8::2 fd00:2::1      fd00:2::2
//!
//!  With several hosts on a side a switch namespace (one bridge) stands between data0 and their eth0.
//!  With a hub the WAN is a switch, too, and a third gateway is on it; `hub` has the drawing.
//!  With a WAN delay wan0 is a TAP on both sides and a relay in this process carries the frames.
//! ```

use std::path::Path;

use crate::builder::LabBuilder;
use crate::dir::LabDir;
use crate::error::Result;
use crate::hub::Hub;
use crate::namespace::Namespace;
use crate::side::{Side, WAN_INTERFACE};
use crate::wan::Wan;

/// A running laboratory. `Drop` takes everything down; so does the kernel when the process dies.
#[derive(Debug)]
pub struct Lab {
    pub(crate) wan: Wan,
    pub(crate) hosts: [Vec<Namespace>; 2],
    pub(crate) gateways: [Namespace; 2],
    pub(crate) hub: Option<Hub>,
    pub(crate) switches: Vec<Namespace>,
    // Last: everything above may still use the directory while it is dropped.
    pub(crate) dir: LabDir,
}

impl Lab {
    /// A builder with the defaults.
    #[must_use]
    pub fn builder() -> LabBuilder {
        LabBuilder::default()
    }

    /// The default laboratory.
    ///
    /// # Errors
    /// As [`LabBuilder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// First host of side A.
    #[must_use]
    pub fn h1(&self) -> &Namespace {
        self.host(Side::A, 0)
    }

    /// First host of side B.
    #[must_use]
    pub fn h2(&self) -> &Namespace {
        self.host(Side::B, 0)
    }

    /// Host `n` of a side, counted from 0.
    ///
    /// # Panics
    /// If that side has no such host.
    #[must_use]
    pub fn host(&self, side: Side, n: usize) -> &Namespace {
        &self.hosts[side.index()][n]
    }

    /// Hosts of a side.
    #[must_use]
    pub fn hosts(&self, side: Side) -> &[Namespace] {
        &self.hosts[side.index()]
    }

    /// Namespace of a side's gateway.
    #[must_use]
    pub fn gateway(&self, side: Side) -> &Namespace {
        &self.gateways[side.index()]
    }

    /// Namespace of gateway A.
    #[must_use]
    pub fn gwa(&self) -> &Namespace {
        self.gateway(Side::A)
    }

    /// Namespace of gateway B.
    #[must_use]
    pub fn gwb(&self) -> &Namespace {
        self.gateway(Side::B)
    }

    /// The third gateway.
    ///
    /// # Panics
    /// If the laboratory was built without one.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        self.hub.as_ref().expect("the laboratory was built with a hub")
    }

    /// The link between the gateways.
    #[must_use]
    pub fn wan(&self) -> &Wan {
        &self.wan
    }

    /// The laboratory's private directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory with its guard.
    #[must_use]
    pub fn dir(&self) -> &LabDir {
        &self.dir
    }

    /// Unique name; every process of the laboratory has it in `GRIDWAY_LAB`.
    #[must_use]
    pub fn id(&self) -> String {
        self.dir.id()
    }

    /// Every namespace of the laboratory, switches included.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        let hub = self.hub.iter().flat_map(|hub| [hub.gateway(), hub.host()]);
        self.hosts.iter().flatten().chain(&self.gateways).chain(hub).chain(&self.switches)
    }

    /// Turns plain kernel forwarding between the data networks on or off: routes on both gateways and the
    /// forwarding switches of both families; no nftables, no connection tracking, no tunnel. This is the baseline
    /// that the benchmark compares with.
    ///
    /// # Errors
    /// As [`Namespace::run`].
    pub fn kernel_forwarding(&self, on: bool) -> Result<()> {
        let (switch, verb) = if on { ("1", "replace") } else { ("0", "del") };
        for side in Side::BOTH {
            let (gateway, far) = (self.gateway(side), side.other());
            gateway.sysctl("net/ipv4/ip_forward", switch)?;
            gateway.sysctl("net/ipv6/conf/all/forwarding", switch)?;
            gateway.ip_batch(&format!(
                "route {verb} {} via {} dev {WAN_INTERFACE}\nroute {verb} {} via {} dev {WAN_INTERFACE}",
                far.network(),
                far.wan(),
                far.network6(),
                far.wan6()
            ))?;
        }
        Ok(())
    }
}
