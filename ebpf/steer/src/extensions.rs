//! The extension headers of IPv6 (RFC 8200).
//!
//! The verifier follows every way through them, and everything that comes behind once for each. So they are walked in a
//! function of their own, which it judges by itself, whatever it is called with, and of whose outcome, a number, it
//! knows nothing (<https://docs.kernel.org/bpf/>, "global functions").

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    programs::{TcContext, XdpContext},
};

use crate::{
    classify::{ETHERNET_LENGTH, MAX_TAGS, TAG_LENGTH},
    context::Context,
    frame::{Frame, Unsteerable},
};

/// Length of the header before them.
pub const HEADER_LENGTH: usize = 40;
/// Offset of the field that says what follows.
pub const NEXT_HEADER: usize = 6;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// Extension headers that are walked; RFC 8200 4.1 recommends an order in which seven stand.
const MAX_EXTENSION_HEADERS: usize = 8;
/// No extension header is shorter.
const MIN_EXTENSION_LENGTH: usize = 8;

/// Bits of the fragment header's field that hold the offset.
pub const OFFSET_BITS: u16 = 0xfff8;

/// Where the walk over the extension headers ended.
pub struct Walked {
    /// The header that the walk does not know: upper layer, or no next header.
    pub protocol: u8,
    pub offset: usize,
    /// Offset of the fragment header's fields; zero without that header. No option: what the compiler takes for the
    /// contents of a `None` may be a pointer, with which the verifier lets nothing be computed.
    pub fragment: usize,
    /// Fragment offset and flags; zero without that header.
    pub bits: u16,
}

/// Of offsets of the IPv6 header: behind the Ethernet header and two tags at most.
const NETWORK_BITS: u64 = 0x1f;
const _: () = assert!(ETHERNET_LENGTH + MAX_TAGS as usize * TAG_LENGTH <= NETWORK_BITS as usize);

/// The outcome for all that stops a walk: their fate is the same.
const MALFORMED: u64 = u64::MAX;

impl Walked {
    /// Behind the IPv6 header at `network`, without extension headers.
    #[inline(always)]
    pub fn none(protocol: u8, network: usize) -> Self {
        Self { protocol, offset: network + HEADER_LENGTH, fragment: 0, bits: 0 }
    }

    /// From the lowest byte on: protocol, offset, fragment, bits (two bytes each, since what is read lies within
    /// [`crate::frame::MAX_OFFSET`]), zero.
    #[inline(always)]
    fn pack(&self) -> u64 {
        let [offset, fragment] = [self.offset, self.fragment].map(|at| at as u64 & 0xffff);
        u64::from(self.protocol) | offset << 8 | fragment << 24 | u64::from(self.bits) << 40
    }

    /// What [`Self::pack`] made, or [`MALFORMED`].
    #[inline(always)]
    pub fn unpack(packed: u64) -> Result<Self, Unsteerable> {
        if packed == MALFORMED {
            return Err(Unsteerable::Inconsistent);
        }
        Ok(Self {
            protocol: packed as u8,
            offset: (packed >> 8 & 0xffff) as usize,
            fragment: (packed >> 24 & 0xffff) as usize,
            bits: (packed >> 40) as u16,
        })
    }
}

/// [`walk`] at the XDP hook.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gridway_walk_xdp(context: *mut xdp_md, network: u64, end: u64) -> u64 {
    walk(&Frame::new(&XdpContext::new(context)), network, end)
}

/// [`walk`] at the tc hook.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gridway_walk_tc(context: *mut __sk_buff, network: u64, end: u64) -> u64 {
    walk(&Frame::new(&TcContext::new(context)), network, end)
}

/// Walks the extension headers of the packet that begins at `network` and ends at `end`, from the end of the IPv6
/// header on; behind a later fragment's fragment header there is nothing to walk. The outcome is packed.
#[inline(always)]
fn walk(frame: &Frame<impl Context>, network: u64, end: u64) -> u64 {
    // Of an argument the verifier knows nothing; kernels before 6.11 learn it only of the register that is compared.
    let (network, end) = ((network & NETWORK_BITS) as usize, end as usize);
    match walked(frame, network, end) {
        Ok(walked) => walked.pack(),
        Err(_) => MALFORMED,
    }
}

#[inline(always)]
fn walked(frame: &Frame<impl Context>, network: usize, end: usize) -> Result<Walked, Unsteerable> {
    let [protocol, _hop_limit] = frame.read_computed::<u16>(network + NEXT_HEADER)?.to_ne_bytes();
    let mut walked = Walked::none(protocol, network);
    for index in 0..MAX_EXTENSION_HEADERS {
        let header = walked.protocol;
        match header {
            // RFC 8200 4.1: only directly behind the IPv6 header.
            HOP_BY_HOP if index != 0 => return Err(Unsteerable::Forbidden),
            // A packet has one fragment header.
            FRAGMENT if walked.fragment != 0 => return Err(Unsteerable::Forbidden),
            extension if is_extension(extension) => {}
            _upper_layer => return Ok(walked),
        }
        if walked.offset + MIN_EXTENSION_LENGTH > end {
            return Err(Unsteerable::Truncated);
        }
        let [next, length] = frame.read_computed::<u16>(walked.offset)?.to_ne_bytes();
        if header == FRAGMENT {
            walked.fragment = walked.offset + 2;
            walked.bits = u16::from_be(frame.read_computed(walked.fragment)?);
        }
        walked.protocol = next;
        walked.offset += match header {
            FRAGMENT => MIN_EXTENSION_LENGTH,
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _others => (usize::from(length) + 1) * 8,
        };
        if walked.offset > end {
            return Err(Unsteerable::Truncated);
        }
        if walked.bits & OFFSET_BITS != 0 {
            return Ok(walked);
        }
    }
    if is_extension(walked.protocol) { Err(Unsteerable::TooManyHeaders) } else { Ok(walked) }
}

#[inline(always)]
fn is_extension(header: u8) -> bool {
    matches!(
        header,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6
    )
}
