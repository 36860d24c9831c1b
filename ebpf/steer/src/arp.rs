//! Row 3: ARP (RFC 826), proxied for the data plane's prefixes (RFC 1027).

use gridway_steer_abi::{Address, Fate};

use crate::{
    context::Context,
    frame::{Frame, Unsteerable},
    maps,
};

/// Length of an ARP packet of Ethernet and IPv4.
const LENGTH: usize = 28;
/// Hardware type Ethernet, protocol type IPv4, their address lengths; then the operation: request.
const REQUEST: u64 = u64::from_be_bytes([0, 1, 8, 0, 6, 4, 0, 1]);
const SENDER_PROTOCOL_ADDRESS: usize = 14;
const TARGET_PROTOCOL_ADDRESS: usize = 24;

/// The worker answers requests for proxied addresses; it must not answer
/// - a probe (sender 0.0.0.0, RFC 5227): the prober would believe its own address taken,
/// - gratuitous ARP (sender is target): nobody asks,
/// - a request for an own address, which the kernel answers.
///
/// Other hardware or protocol types are the kernel's to judge, like all other ARP.
#[inline(always)]
pub fn arp(frame: &Frame<impl Context>, network: usize) -> Result<Fate, Unsteerable> {
    if !frame.holds(network, LENGTH) {
        return Err(Unsteerable::Truncated);
    }
    if u64::from_be(frame.read(network)?) != REQUEST {
        return Ok(Fate::ToKernelArp);
    }
    let sender: u32 = frame.read(network + SENDER_PROTOCOL_ADDRESS)?;
    let target: u32 = frame.read(network + TARGET_PROTOCOL_ADDRESS)?;
    if sender == 0 || sender == target {
        return Ok(Fate::ToKernelArp);
    }
    let target = Address::v4(target.to_ne_bytes());
    if !maps::is_own(&target) && maps::is_proxied(target) {
        Ok(Fate::ToWorkerArpRequest)
    } else {
        Ok(Fate::ToKernelArp)
    }
}
