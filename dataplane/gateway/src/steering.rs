//! At which hook of the data NIC the steering program is.

use anyhow::Result;
use gridway_config::Config;
use gridway_control::Severity;
use gridway_steer::{AttachedMode, Steer};

use crate::events::Kind;
use crate::node::Node;

/// Attaches the program where this configuration needs it. At the tc hook it only judges, and costs nothing of what
/// connectors and services move through the kernel.
pub(crate) fn attach(steer: &mut Steer, config: &Config) -> Result<()> {
    if !config.needs_xdp() {
        match steer.attach_tc() {
            Ok(()) => return Ok(()),
            Err(error) => tracing::info!(%error, "XDP is attached although no vnet needs it yet"),
        }
    }
    Ok(steer.attach_xdp()?)
}

/// Attaches the program to the XDP hook for a configuration that needs it there. It stays until the node ends: many a NIC
/// resets its queues when a program comes or goes.
pub(crate) fn follow(node: &Node, config: &Config) -> Result<()> {
    let Some(mut steer) = node.lock_steer() else { return Ok(()) };
    if steer.mode() == Some(AttachedMode::Tc) && config.needs_xdp() {
        steer.attach_xdp()?;
        drop(steer);
        warn_of_generic(node);
    }
    Ok(())
}

/// Says so where the program costs more than it should.
pub(crate) fn warn_of_generic(node: &Node) {
    if let Some(data) = &node.data
        && node.attach_mode() == Some(AttachedMode::Generic)
    {
        let message = format!(
            "XDP runs in generic mode on {}: its driver has no native mode, or the configuration asks for it; every packet \
             costs more",
            data.interface
        );
        node.events.record(Severity::Warning, Kind::XdpGeneric, &data.interface, message);
    }
}
