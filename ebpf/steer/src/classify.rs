//! Rows 1 to 4 of the table: the Ethernet header, and who looks further.

use gridway_steer_abi::{Fate, maps::mac_word};

use crate::{
    arp,
    context::Context,
    frame::{Frame, Unsteerable},
    ipv4, ipv6, maps,
};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_PROVIDER_VLAN: u16 = 0x88a8;
/// Double tagging before IEEE 802.1ad.
const ETHERTYPE_OLD_VLAN: u16 = 0x9100;

/// Length of the Ethernet header without tags.
pub const ETHERNET_LENGTH: usize = 14;
/// Offset of the EtherType in an untagged frame.
const ETHERTYPE_OFFSET: usize = 12;
/// Length of a VLAN tag.
pub const TAG_LENGTH: usize = 4;
/// Priority tags that are peeled: one, and one of a provider's bridge around it.
pub const MAX_TAGS: u32 = 2;
/// The VLAN's number in a tag.
const ID_BITS: u16 = 0x0fff;

/// A fate, and how many priority tags stand before the network header.
pub struct Steered {
    pub fate: Fate,
    pub tags: u32,
}

/// Decides a frame's fate.
#[inline(always)]
pub fn classify(frame: &Frame<impl Context>) -> Steered {
    let mut tags = 0;
    let fate = match ethernet(frame, &mut tags) {
        Ok(fate) => fate,
        Err(error) => error.fate(),
    };
    Steered { fate, tags }
}

#[inline(always)]
fn ethernet(frame: &Frame<impl Context>, tags: &mut u32) -> Result<Fate, Unsteerable> {
    if !frame.holds(0, ETHERNET_LENGTH) {
        return Err(Unsteerable::Truncated);
    }
    const MAC_BITS: u64 = mac_word([0xff; 6]);
    const GROUP_BIT: u64 = mac_word([1, 0, 0, 0, 0, 0]);
    let destination = u64::from_le(frame.read(0)?) & MAC_BITS;
    let group_mac = destination & GROUP_BIT != 0;
    if !group_mac && destination != maps::mac() {
        return Ok(Fate::DropForeignMac);
    }

    if let Some(tag) = frame.context.tag_taken_off() {
        if tag & ID_BITS != 0 {
            return Ok(Fate::DropVlan);
        }
        *tags += 1;
    }
    let mut offset = ETHERTYPE_OFFSET;
    let mut ethertype = frame.read_u16(offset)?;
    while *tags < MAX_TAGS && is_vlan(ethertype) {
        if frame.read_u16(offset + 2)? & ID_BITS != 0 {
            return Ok(Fate::DropVlan);
        }
        offset += TAG_LENGTH;
        *tags += 1;
        ethertype = frame.read_u16(offset)?;
    }

    let network = offset + 2;
    match ethertype {
        ETHERTYPE_IPV4 => ipv4::ipv4(frame, network, group_mac),
        ETHERTYPE_IPV6 => ipv6::ipv6(frame, network, group_mac),
        ETHERTYPE_ARP => arp::arp(frame, network),
        tag if is_vlan(tag) => Ok(Fate::DropVlan),
        _other => Ok(Fate::ToKernelNonIp),
    }
}

#[inline(always)]
fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_PROVIDER_VLAN | ETHERTYPE_OLD_VLAN)
}
