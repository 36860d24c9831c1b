//! The programs, and where they are attached.

use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd},
};

use aya::{
    Ebpf,
    programs::{Program, ProgramError, SchedClassifier, Xdp, links::FdLink},
};
use gridway_kernel::SINGLE_BUFFER_MTU;
use gridway_steer_abi::maps;

use crate::{
    Attach, AttachedMode, SteerError, attach,
    nic::{Nic, vlan},
};

/// The steering program, for the XDP hook and for the tc hook of the data NIC. Dropping this detaches both.
pub struct Hooks {
    /// As it was when the programs were loaded.
    nic: Nic,
    ebpf: Ebpf,
    /// Why the kernel refused the program for the tc hook, until that was said.
    refused: Option<ProgramError>,
    /// The kernel detaches a program when its link is closed.
    xdp: Option<(FdLink, AttachedMode)>,
    tc: Option<FdLink>,
}

impl Hooks {
    /// Loads both programs. The one for the tc hook may be refused: that is said when it is to be attached.
    pub(crate) fn load(nic: Nic, mut ebpf: Ebpf) -> Result<Self, SteerError> {
        program::<Xdp>(&mut ebpf, maps::PROGRAM)?.load().map_err(SteerError::Verify)?;
        let refused = program::<SchedClassifier>(&mut ebpf, maps::TC_PROGRAM)?.load().err();
        Ok(Self { nic, ebpf, refused, xdp: None, tc: None })
    }

    /// Attaches the program to the XDP hook, unless it is there. Whether it is at the tc hook as well makes no
    /// difference but that frames for the kernel are judged and counted twice.
    ///
    /// Receive VLAN stripping is switched off for it, and stays off. Until [`crate::Steer::set_own_addresses`] is
    /// called the kernel gets no unicast IP, and until [`crate::Steer::register_socket`] is called what is meant for
    /// a worker is dropped and counted.
    ///
    /// # Errors
    /// [`SteerError::Replaced`], [`SteerError::MtuTooLarge`], [`SteerError::MtuChanged`],
    /// [`SteerError::VlanStripping`], [`SteerError::Attach`], [`SteerError::NoLink`]: it is where it was then.
    pub fn attach_xdp(&mut self, wanted: Attach) -> Result<(), SteerError> {
        if self.xdp.is_some() {
            return Ok(());
        }
        let Nic { name, mtu, .. } = self.nic_now()?;
        if mtu > SINGLE_BUFFER_MTU {
            return Err(SteerError::MtuTooLarge { interface: name, mtu });
        }
        if mtu != self.nic.mtu {
            return Err(SteerError::MtuChanged { interface: name, mtu, before: self.nic.mtu });
        }
        vlan::switch_stripping_off(&name)?;
        let program = program(&mut self.ebpf, maps::PROGRAM)?;
        self.xdp = Some(attach::attach_xdp(program, &self.nic, wanted)?);
        Ok(())
    }

    /// Attaches the program to the tc hook, unless it is there: it judges and counts as at the XDP hook, and drops
    /// what is for a worker.
    ///
    /// # Errors
    /// [`SteerError::Replaced`]; [`SteerError::Verify`], [`SteerError::Attach`], [`SteerError::NoLink`] when the kernel
    /// refuses it, as one before Linux 6.6 does.
    pub fn attach_tc(&mut self) -> Result<(), SteerError> {
        if self.tc.is_some() {
            return Ok(());
        }
        if let Some(error) = self.refused.take() {
            return Err(SteerError::Verify(error));
        }
        self.nic_now()?;
        let program = program::<SchedClassifier>(&mut self.ebpf, maps::TC_PROGRAM)?;
        self.tc = Some(attach::attach_tc(program, &self.nic)?);
        Ok(())
    }

    /// The NIC as it is, if it is the one that the programs were loaded for.
    fn nic_now(&self) -> Result<Nic, SteerError> {
        let now = Nic::query(&self.nic.name)?;
        if now.ifindex == self.nic.ifindex {
            Ok(now)
        } else {
            Err(SteerError::Replaced { interface: now.name })
        }
    }

    /// Takes the program off the XDP hook, if it is there.
    pub fn detach_xdp(&mut self) {
        self.xdp = None;
    }

    /// Takes the program off the tc hook, if it is there. Frames that passed the XDP hook before the program came to
    /// it may still be on their way here.
    pub fn detach_tc(&mut self) {
        self.tc = None;
    }

    /// Whether the program is at the XDP hook and at the tc hook.
    pub fn is_at_both(&self) -> bool {
        self.xdp.is_some() && self.tc.is_some()
    }

    /// How the program is attached, if it is: to the XDP hook, when it is at both.
    pub fn mode(&self) -> Option<AttachedMode> {
        let tc = self.tc.as_ref().map(|_| AttachedMode::Tc);
        self.xdp.as_ref().map(|&(_, mode)| mode).or(tc)
    }

    /// The program for the XDP hook, for `BPF_PROG_TEST_RUN` and for finding it in `bpftool prog show`.
    ///
    /// # Errors
    /// [`SteerError::Object`] when it is not loaded, which [`crate::Steer::load`] rules out.
    pub fn xdp_fd(&self) -> Result<BorrowedFd<'_>, SteerError> {
        self.fd(maps::PROGRAM)
    }

    /// As [`Self::xdp_fd`], of the tc hook.
    ///
    /// # Errors
    /// [`SteerError::Verify`] when the kernel refused it.
    pub fn tc_fd(&self) -> Result<BorrowedFd<'_>, SteerError> {
        self.fd(maps::TC_PROGRAM)
    }

    fn fd(&self, name: &'static str) -> Result<BorrowedFd<'_>, SteerError> {
        let program = self.ebpf.program(name).ok_or(SteerError::Object(name))?;
        Ok(program.fd().map_err(SteerError::Verify)?.as_fd())
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("nic", &self.nic).field("mode", &self.mode()).finish_non_exhaustive()
    }
}

/// A program of the object.
fn program<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, SteerError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name).ok_or(SteerError::Object(name))?.try_into().map_err(SteerError::Verify)
}
