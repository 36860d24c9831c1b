//! Row 6: neighbour discovery (RFC 4861), proxied for the data plane's prefixes.

use gridway_steer_abi::{Address, Fate};

use crate::{
    context::Context,
    frame::{Frame, Unsteerable},
    maps,
};

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// Type, code and checksum of any ICMPv6 message.
const ICMPV6_HEADER_LENGTH: usize = 4;
/// Offset of the target address in a solicitation.
const TARGET: usize = 8;

/// An ICMPv6 message and what surrounds it.
pub struct Message<'a> {
    pub source: &'a Address,
    pub destination: &'a Address,
    pub hop_limit: u8,
    /// There is a fragment header, be it an atomic fragment's.
    pub fragmented: bool,
    pub offset: usize,
    /// Where the IP packet ends.
    pub end: usize,
}

/// The fate of a neighbour discovery message; none when it is other ICMPv6, or neighbour discovery addressed
/// to some remote host, which is IP like any other.
///
/// The worker answers solicitations for proxied addresses; it must not answer
/// - duplicate address detection (source `::`): the asker would give its own address up,
/// - a solicitation whose sender is its target: nobody asks,
/// - a solicitation for an own address, which the kernel answers.
#[inline(always)]
pub fn neighbour_discovery(
    frame: &Frame<impl Context>,
    message: &Message<'_>,
) -> Result<Option<Fate>, Unsteerable> {
    let &Message { offset, end, .. } = message;
    if offset + ICMPV6_HEADER_LENGTH > end {
        return Err(Unsteerable::Truncated);
    }
    let [kind, code] = frame.read_computed::<u16>(offset)?.to_ne_bytes();
    let min_length = match kind {
        ROUTER_SOLICITATION => 8,
        ROUTER_ADVERTISEMENT => 16,
        NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT => 24,
        REDIRECT => 40,
        _other => return Ok(None),
    };
    if offset + min_length > end {
        return Err(Unsteerable::Truncated);
    }
    // RFC 4861 6.1 and 7.1: hop limit 255 proves that no router forwarded it. RFC 6980: no fragments.
    if message.hop_limit != 255 || code != 0 || message.fragmented {
        return Err(Unsteerable::Forbidden);
    }
    if kind == NEIGHBOUR_SOLICITATION {
        let target = Address::from_halves(
            frame.read_computed(offset + TARGET)?,
            frame.read_computed(offset + TARGET + 8)?,
        );
        if target.first_two()[0] == 0xff {
            return Err(Unsteerable::Forbidden);
        }
        if *message.source != Address::UNSPECIFIED
            && *message.source != target
            && !maps::is_own(&target)
            && maps::is_proxied(target)
        {
            return Ok(Some(Fate::ToWorkerNeighbourSolicitation));
        }
    }
    let [first, second] = message.destination.first_two();
    let link_local = first == 0xfe && second & 0xc0 == 0x80;
    if link_local || first == 0xff || maps::is_own(message.destination) {
        return Ok(Some(Fate::ToKernelNeighbourDiscovery));
    }
    Ok(None)
}
