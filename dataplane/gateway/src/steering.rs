//! At which hook of the data NIC the steering program is: that of XDP where the configuration needs it, else that of tc,
//! where it costs nothing of what connectors and services move through the kernel.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use crossbeam::atomic::AtomicCell;
use gridway_config::{Attach, Config, Data, Rings};
use gridway_control::Severity;
use gridway_steer::{AttachedMode, Hooks, SteerError};

use crate::events::Kind;
use crate::node::Node;

/// How long frames may be on their way from the one hook to the other: they wait for a soft interrupt.
const ON_THEIR_WAY: Duration = Duration::from_millis(50);

/// The hooks of the data NIC.
#[derive(Debug)]
pub(crate) struct Steering {
    /// Locked by whoever changes the configuration. A driver may take seconds to take a program.
    hooks: Mutex<Hooks>,
    wanted: gridway_steer::Attach,
    mode: AtomicCell<AttachedMode>,
    /// The kernel has no other hook.
    xdp_only: AtomicCell<bool>,
}

impl Steering {
    /// Attaches the program where the configuration needs it; to the XDP hook, too, where the kernel has no other.
    pub(crate) fn attach(mut hooks: Hooks, config: &Config, data: &Data) -> Result<Self> {
        let wanted = match data.attach {
            Attach::Auto => gridway_steer::Attach::Auto,
            Attach::Native => gridway_steer::Attach::Native,
            Attach::Generic => gridway_steer::Attach::Generic,
        };
        let mut xdp_only = false;
        if config.needs_xdp() {
            hooks.attach_xdp(wanted)?;
        } else if let Err(error) = hooks.attach_tc() {
            xdp_only = true;
            tracing::warn!(%error, "XDP is used, although there is no vnet that needs it");
            hooks.attach_xdp(wanted).with_context(|| format!("not to be had without XDP either: {error}"))?;
        }
        let mode = AtomicCell::new(hooks.mode().context("the steering program is attached nowhere")?);
        Ok(Self { hooks: Mutex::new(hooks), wanted, mode, xdp_only: AtomicCell::new(xdp_only) })
    }

    pub(crate) fn mode(&self) -> AttachedMode {
        self.mode.load()
    }

    fn lock(&self) -> MutexGuard<'_, Hooks> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks where the program is now; whether that is elsewhere than before.
    fn has_moved(&self, hooks: &Hooks) -> bool {
        hooks.mode().is_some_and(|mode| self.mode.swap(mode) != mode)
    }

    fn attach_xdp(&self) -> Result<bool, SteerError> {
        let mut hooks = self.lock();
        hooks.attach_xdp(self.wanted)?;
        Ok(self.has_moved(&hooks))
    }

    fn leave_tc(&self) {
        let mut hooks = self.lock();
        if hooks.is_at_both() {
            thread::sleep(ON_THEIR_WAY);
            hooks.detach_tc();
        }
    }

    fn leave_xdp(&self) -> bool {
        if self.mode() == AttachedMode::Tc || self.xdp_only.load() {
            return false;
        }
        let mut hooks = self.lock();
        match hooks.attach_tc() {
            Ok(()) => hooks.detach_xdp(),
            Err(error) => {
                self.xdp_only.store(true);
                tracing::warn!(%error, "the steering program stays at the XDP hook, although no vnet needs it");
            }
        }
        self.has_moved(&hooks)
    }
}

/// Attaches the program where a configuration needs it that is to be in force. It leaves no hook: that is
/// [`settle`]'s to do, when the configuration is in force or was refused.
pub(crate) fn prepare(node: &Node, config: &Config) -> Result<()> {
    if let Some(steering) = &node.steering
        && config.needs_xdp()
        && steering.attach_xdp()?
    {
        say_that_it_moved(node, steering.mode());
    }
    Ok(())
}

/// Takes the program off the hook where the configuration in force does not need it. What is not final keeps XDP: who
/// undoes it must not depend on whether it is to be had again.
pub(crate) fn settle(node: &Node, is_final: bool) {
    let Some(steering) = &node.steering else { return };
    if node.config.load().needs_xdp() {
        steering.leave_tc();
    } else if is_final && steering.leave_xdp() {
        say_that_it_moved(node, steering.mode());
    }
}

fn say_that_it_moved(node: &Node, mode: AttachedMode) {
    let Some(data) = &node.data else { return };
    let interface = &data.interface;
    let (kind, message) = match mode {
        AttachedMode::Tc => (
            Kind::SteeredByTc,
            format!("frames of {interface} are steered at the tc hook: no vnet needs XDP"),
        ),
        mode => (Kind::SteeredByXdp, format!("frames of {interface} are steered by XDP, {mode}")),
    };
    node.events.record(Severity::Info, kind, interface, message);
    say_what_is_slow(node);
}

/// Says so where XDP, which is in use, costs more than it should.
pub(crate) fn say_what_is_slow(node: &Node) {
    let Some(data) = &node.data else { return };
    let interface = &data.interface;
    match node.attach_mode() {
        None | Some(AttachedMode::Tc) => return,
        Some(AttachedMode::Native) => {}
        Some(AttachedMode::Generic) => {
            let message = format!(
                "XDP runs in generic mode on {interface}: its driver has no native mode, or the configuration asks for it; \
                 every packet costs more"
            );
            node.events.record(Severity::Warning, Kind::XdpGeneric, interface, message);
        }
    }
    let wanted = node.config.load().data.as_ref().map(|data| data.rings);
    if data.ring_mode == "copy" && wanted == Some(Rings::Auto) {
        let message = format!("zero-copy is not available on {interface}: frames are copied");
        node.events.record(Severity::Info, Kind::RingsCopy, interface, message);
    }
}
