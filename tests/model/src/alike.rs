//! Whether what the real forwarder sent is what the model says.
//!
//! Forwarded packets must be equal to the byte. Of packets that a node makes itself some fields are free:
//! TTL, type of service, identification, the window of a reset, which of its own addresses is the source
//! of an error, and how much more than 8 bytes behind the IP header the error quotes.

use crate::packet::{Packet, full_checksum};
use crate::step::Origin;

const ICMP_HEADER: usize = 8;
const LEAST_QUOTE: usize = 8;
/// End of sequence and acknowledgement number in a TCP header.
const ACKNOWLEDGEMENT_END: usize = 12;
const TCP_FLAGS: usize = 13;

/// How two packets differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: the model has {model:02x?}, the forwarder {real:02x?}")]
pub struct Difference {
    /// What differs.
    pub what: &'static str,
    /// The model's packet.
    pub model: Vec<u8>,
    /// The forwarder's packet.
    pub real: Vec<u8>,
}

/// Compares a packet of the model with the one that the real forwarder sent.
///
/// # Errors
/// The first [`Difference`] that matters.
pub fn alike(origin: &Origin, model: &[u8], real: &[u8]) -> Result<(), Difference> {
    let hold = |condition: bool, what| {
        if condition { Ok(()) } else { Err(Difference { what, model: model.to_vec(), real: real.to_vec() }) }
    };
    if *origin == Origin::Forwarded {
        return hold(model == real, "forwarded bytes");
    }
    let (Some(ours), Some(theirs)) = (Packet::read(model), Packet::read(real)) else {
        return hold(false, "a packet that can be read");
    };
    hold(theirs.destination == ours.destination, "destination")?;
    hold(theirs.protocol == ours.protocol, "protocol")?;
    hold(theirs.ttl > 1, "a TTL to travel with")?;
    let stored = theirs.payload.get(if *origin == Origin::Reset { 16..18 } else { 2..4 });
    let right = full_checksum(&theirs).map(u16::to_be_bytes);
    hold(stored == right.as_ref().map(|bytes| &bytes[..]), "checksum")?;
    match origin {
        Origin::Forwarded => Ok(()),
        Origin::Error { sources } => {
            hold(sources.contains(&theirs.source), "source")?;
            hold(kind_and_word(&ours) == kind_and_word(&theirs), "ICMP type, code and MTU")?;
            let [ours, theirs] = [&ours, &theirs].map(|packet| &packet.payload[ICMP_HEADER..]);
            hold(ours.starts_with(theirs), "quote")?;
            hold(theirs.len() >= ours.len().min(header_len(ours) + LEAST_QUOTE), "length of the quote")
        }
        Origin::Reset => {
            hold(theirs.source == ours.source, "source")?;
            hold(theirs.tuple() == ours.tuple(), "ports")?;
            hold(theirs.payload.len() == ours.payload.len(), "length of the reset")?;
            hold(theirs.payload[4..ACKNOWLEDGEMENT_END] == ours.payload[4..ACKNOWLEDGEMENT_END], "numbers")?;
            hold(theirs.payload[TCP_FLAGS] == ours.payload[TCP_FLAGS], "flags")
        }
        Origin::Echo => {
            hold(theirs.source == ours.source, "source")?;
            hold(theirs.payload == ours.payload, "echoed data")
        }
    }
}

/// Type, code and second word of an ICMP message.
fn kind_and_word(packet: &Packet) -> ([u8; 2], [u8; 4]) {
    let payload = &packet.payload;
    ([payload[0], payload[1]], [payload[4], payload[5], payload[6], payload[7]])
}

/// Length of the IP header at the start of a quote; IPv6 extension headers count as transport.
fn header_len(quote: &[u8]) -> usize {
    match quote.first().map(|byte| byte >> 4) {
        Some(4) => usize::from(quote[0] & 0x0f) * 4,
        _ => 40,
    }
}
