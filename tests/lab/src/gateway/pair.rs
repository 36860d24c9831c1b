//! The usual two gateways.

use crate::error::Result;
use crate::gateway::config::NodeConfig;
use crate::gateway::node::{Gateway, START};
use crate::gateway::pki::Pki;
use crate::side::Side;
use crate::topology::Lab;

/// Starts both gateways with certificates of one authority and waits until each sees the other up.
///
/// # Errors
/// As [`Gateway::launch`] and [`Gateway::wait_peer_up`].
pub fn start_pair(lab: &Lab, configs: [NodeConfig; 2]) -> Result<[Gateway; 2]> {
    let pki = Pki::of(lab)?;
    let [a, b] = configs;
    let gateways = [Gateway::launch(lab, Side::A, &pki, a)?, Gateway::launch(lab, Side::B, &pki, b)?];
    for (gateway, peer) in gateways.iter().zip([1, 0]) {
        gateway.wait_peer_up(gateways[peer].config().name(), START)?;
    }
    Ok(gateways)
}
