//! Attaching the program: native mode, else generic.

use std::fmt;

use aya::programs::{ProgramError, Xdp, XdpMode, links::FdLink, xdp::XdpError};

use crate::{SteerError, nic::Nic};

/// Which XDP mode to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// Native where the driver can, else generic.
    #[default]
    Auto,
    /// In the driver, before a socket buffer exists.
    Native,
    /// In the network stack, on any driver, slower.
    Generic,
}

/// Which XDP mode is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedMode {
    /// In the driver.
    Native,
    /// In the network stack.
    Generic,
}

impl AttachedMode {
    /// `native` or `generic`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }

    const fn flag(self) -> XdpMode {
        match self {
            Self::Native => XdpMode::Driver,
            Self::Generic => XdpMode::Skb,
        }
    }
}

impl fmt::Display for AttachedMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Attaches `program` as `wanted` says, and logs which mode it became.
pub(crate) fn attach(
    program: &mut Xdp,
    nic: &Nic,
    wanted: Attach,
) -> Result<(FdLink, AttachedMode), SteerError> {
    let (link, mode) = match wanted {
        Attach::Native => (attach_in(program, nic, AttachedMode::Native)?, AttachedMode::Native),
        Attach::Generic => (attach_in(program, nic, AttachedMode::Generic)?, AttachedMode::Generic),
        Attach::Auto => match attach_in(program, nic, AttachedMode::Native) {
            Ok(link) => (link, AttachedMode::Native),
            Err(SteerError::Attach { source, hint, .. }) if !is_occupied(&source) => {
                tracing::warn!(
                    interface = nic.name,
                    error = %source,
                    "native XDP is not to be had, generic is slower{hint}"
                );
                (attach_in(program, nic, AttachedMode::Generic)?, AttachedMode::Generic)
            }
            Err(error) => return Err(error),
        },
    };
    tracing::info!(interface = nic.name, mode = mode.name(), mtu = nic.mtu, "steering program attached");
    Ok((link, mode))
}

fn attach_in(program: &mut Xdp, nic: &Nic, mode: AttachedMode) -> Result<FdLink, SteerError> {
    let refused = |source: ProgramError| {
        let hint = hint(&source, nic);
        let source = Box::new(source);
        SteerError::Attach { interface: nic.name.clone(), mode, mtu: nic.mtu, source, hint }
    };
    let id = program.attach_to_if_index(nic.ifindex, mode.flag()).map_err(refused)?;
    let link = program.take_link(id).map_err(refused)?;
    FdLink::try_from(link).map_err(|_| SteerError::NoLink { interface: nic.name.clone() })
}

/// The system's error number behind an attach error.
fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::XdpError(XdpError::NetlinkError(error)) => error.raw_os_error(),
        _other => None,
    }
}

/// Another program sits there; generic mode would be refused as well.
fn is_occupied(error: &ProgramError) -> bool {
    matches!(errno(error), Some(libc::EBUSY | libc::EEXIST))
}

fn hint(error: &ProgramError, nic: &Nic) -> String {
    let name = &nic.name;
    match errno(error) {
        Some(libc::EBUSY | libc::EEXIST) => {
            format!("; another XDP program is attached: see `bpftool net show dev {name}`")
        }
        Some(libc::EPERM | libc::EACCES) => "; it needs the capabilities BPF and NET_ADMIN, or root".into(),
        Some(libc::ERANGE) => format!(
            "; frames would not fit one XDP buffer: on veth the peer's MTU must not be above {} either",
            crate::SINGLE_BUFFER_MTU
        ),
        Some(libc::EOPNOTSUPP) => "; the driver has no native XDP, or a feature stands in its way (see \
             `ethtool -k`: large receive offload)"
            .into(),
        _other => String::new(),
    }
}
