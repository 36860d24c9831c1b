//! The usual two gateways.

use crate::error::Result;
use crate::gateway::config::NodeConfig;
use crate::gateway::node::{Gateway, START};
use crate::gateway::pki::Pki;
use crate::side::Side;
use crate::topology::Lab;

/// Starts both gateways with certificates of one authority and waits until each sees the other up, for streams too
/// if both have Layer 4.
///
/// # Errors
/// As [`Gateway::launch`] and [`Gateway::wait_peer_up`].
pub fn start_pair(lab: &Lab, configs: [NodeConfig; 2]) -> Result<[Gateway; 2]> {
    let pki = Pki::of(lab)?;
    let [a, b] = configs;
    let gateways = [Gateway::launch(lab, Side::A, &pki, a)?, Gateway::launch(lab, Side::B, &pki, b)?];
    let layer4 = gateways.iter().all(|gateway| gateway.config().has_layer4());
    for (gateway, peer) in gateways.iter().zip([1, 0]) {
        let peer = gateways[peer].config().name();
        gateway.wait_peer_up(peer, START)?;
        if layer4 {
            gateway.wait_streams_up(peer, START)?;
        }
    }
    Ok(gateways)
}
