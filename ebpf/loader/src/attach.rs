//! Attaching the programs: XDP in native mode, else generic; or at the tc hook.

use std::fmt;

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode,
    links::FdLink,
    tc::{TcAttachOptions, TcError},
    xdp::XdpError,
};

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

/// How the steering program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedMode {
    /// XDP, in the driver.
    Native,
    /// XDP, in the network stack.
    Generic,
    /// At the ingress of tc, where nothing reaches a worker.
    Tc,
}

impl AttachedMode {
    /// `native`, `generic` or `tc`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tc => "tc",
        }
    }
}

impl fmt::Display for AttachedMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Attaches `program` to the XDP hook as `wanted` says, and logs which mode it became.
pub(crate) fn attach_xdp(
    program: &mut Xdp,
    nic: &Nic,
    wanted: Attach,
) -> Result<(FdLink, AttachedMode), SteerError> {
    let native = |program: &mut Xdp| attach_in(program, nic, XdpMode::Driver, AttachedMode::Native);
    let generic = |program: &mut Xdp| attach_in(program, nic, XdpMode::Skb, AttachedMode::Generic);
    let attached = match wanted {
        Attach::Native => native(program)?,
        Attach::Generic => generic(program)?,
        Attach::Auto => match native(program) {
            Err(SteerError::Attach { source, hint, .. }) if !is_occupied(&source) => {
                tracing::warn!(
                    interface = nic.name,
                    error = %source,
                    "native XDP is not to be had, generic is slower{hint}"
                );
                generic(program)?
            }
            other => other?,
        },
    };
    log(nic, attached.1);
    Ok(attached)
}

fn attach_in(
    program: &mut Xdp,
    nic: &Nic,
    flag: XdpMode,
    mode: AttachedMode,
) -> Result<(FdLink, AttachedMode), SteerError> {
    let refused = |source| refused(source, nic, mode);
    let id = program.attach_to_if_index(nic.ifindex, flag).map_err(refused)?;
    Ok((owned(program.take_link(id).map_err(refused)?, nic)?, mode))
}

/// Attaches `program` in front of all others at the ingress of tc, by a `bpf_link` (Linux 6.6), and logs that.
pub(crate) fn attach_tc(program: &mut SchedClassifier, nic: &Nic) -> Result<FdLink, SteerError> {
    let refused = |source| refused(source, nic, AttachedMode::Tc);
    let first = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(&nic.name, TcAttachType::Ingress, first).map_err(refused)?;
    let link = owned(program.take_link(id).map_err(refused)?, nic)?;
    log(nic, AttachedMode::Tc);
    Ok(link)
}

/// The link as one that ends when it is closed.
fn owned<L>(link: L, nic: &Nic) -> Result<FdLink, SteerError>
where
    FdLink: TryFrom<L>,
{
    FdLink::try_from(link).map_err(|_| SteerError::NoLink { interface: nic.name.clone() })
}

fn log(nic: &Nic, mode: AttachedMode) {
    tracing::info!(interface = nic.name, mode = mode.name(), mtu = nic.mtu, "steering program attached");
}

fn refused(source: ProgramError, nic: &Nic, mode: AttachedMode) -> SteerError {
    let hint = match mode {
        AttachedMode::Tc => "; it needs Linux 6.6 and the capability NET_ADMIN".to_owned(),
        AttachedMode::Native | AttachedMode::Generic => hint(&source, nic),
    };
    SteerError::Attach { interface: nic.name.clone(), mode, mtu: nic.mtu, source: Box::new(source), hint }
}

/// The system's error number behind an attach error.
fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::XdpError(XdpError::NetlinkError(error)) => error.raw_os_error(),
        ProgramError::TcError(TcError::IoError(error)) => error.raw_os_error(),
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
