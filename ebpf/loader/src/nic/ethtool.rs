//! Receive VLAN stripping: a tag that the NIC takes off is invisible to XDP, and the frame would pass for an
//! untagged one. Switched off through the ethtool ioctls (linux/ethtool.h).

use std::io;

use super::ioctl::InterfaceRequest;
use crate::SteerError;

const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETH_SS_FEATURES: u32 = 4;
const ETH_GSTRING_LEN: usize = 32;
/// Far above the kernel's 64: a bound for what it may claim.
const MAX_FEATURES: usize = 4096;

/// Names of the features that strip: 802.1Q tags and 802.1ad service tags.
const STRIPPING: [&str; 2] = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"];

/// Switches off what is on, and looks whether it stayed off. A NIC without such a feature is fine.
pub(super) fn switch_vlan_stripping_off(interface: &str) -> Result<(), SteerError> {
    let failed =
        |source| SteerError::Query { interface: interface.into(), what: "the offload features", source };
    let request = InterfaceRequest::new(interface)
        .map_err(failed)?
        .ok_or_else(|| SteerError::UnknownInterface { interface: interface.into() })?;
    let names = match feature_names(&request) {
        Ok(names) => names,
        // No ethtool at all: a software device that strips nothing.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for (bit, name) in names.iter().enumerate().filter(|(_, name)| STRIPPING.contains(&name.as_str())) {
        if !is_active(&request, names.len(), bit).map_err(failed)? {
            continue;
        }
        let refused =
            |source| SteerError::VlanStripping { interface: interface.into(), feature: name.clone(), source };
        switch_off(&request, names.len(), bit).map_err(refused)?;
        if is_active(&request, names.len(), bit).map_err(failed)? {
            return Err(refused(io::Error::other("it is still on")));
        }
        tracing::info!(interface, feature = name, "receive VLAN stripping switched off");
    }
    Ok(())
}

/// Names of all features, in the order of their bits.
fn feature_names(request: &InterfaceRequest) -> io::Result<Vec<String>> {
    // struct ethtool_sset_info: cmd, reserved, sset_mask (64 bits), one count.
    let mask = 1u64 << ETH_SS_FEATURES;
    let mut info = [ETHTOOL_GSSET_INFO, 0, 0, 0, 0];
    info[2..4].copy_from_slice(&halves(mask));
    // SAFETY: one set is asked for, so the kernel writes one count, for which there is room.
    unsafe { request.ethtool(&mut info)? };
    let count = info[4] as usize;
    if count > MAX_FEATURES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{count} features")));
    }

    // struct ethtool_gstrings: cmd, string_set, len, then 32 bytes a string.
    const HEADER: usize = 3;
    let mut strings = vec![0; HEADER + count * ETH_GSTRING_LEN / size_of::<u32>()];
    strings[0] = ETHTOOL_GSTRINGS;
    strings[1] = ETH_SS_FEATURES;
    // SAFETY: the kernel writes as many strings as it announced above; the features of a device are a fixed
    // list of the kernel.
    unsafe { request.ethtool(&mut strings)? };
    let bytes: Vec<u8> = strings[HEADER..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    Ok(bytes.chunks_exact(ETH_GSTRING_LEN).map(text).collect())
}

/// A string that is padded with zeroes.
fn text(padded: &[u8]) -> String {
    let end = padded.iter().position(|&byte| byte == 0).unwrap_or(padded.len());
    String::from_utf8_lossy(&padded[..end]).into_owned()
}

/// Whether feature `bit` of `count` is on.
fn is_active(request: &InterfaceRequest, count: usize, bit: usize) -> io::Result<bool> {
    // struct ethtool_gfeatures: cmd, size, then blocks of available, requested, active, never_changed.
    const BLOCK: usize = 4;
    const ACTIVE: usize = 2;
    let blocks = count.div_ceil(32);
    let mut words = vec![0; 2 + blocks * BLOCK];
    words[0] = ETHTOOL_GFEATURES;
    words[1] = u32::try_from(blocks).expect("bounded by MAX_FEATURES");
    // SAFETY: the kernel writes no more blocks than the size field says.
    unsafe { request.ethtool(&mut words)? };
    Ok(words[2 + bit / 32 * BLOCK + ACTIVE] & (1 << (bit % 32)) != 0)
}

/// Asks for feature `bit` of `count` to be off.
fn switch_off(request: &InterfaceRequest, count: usize, bit: usize) -> io::Result<()> {
    // struct ethtool_sfeatures: cmd, size, then blocks of valid, requested.
    const BLOCK: usize = 2;
    let blocks = count.div_ceil(32);
    let mut words = vec![0; 2 + blocks * BLOCK];
    words[0] = ETHTOOL_SFEATURES;
    words[1] = u32::try_from(blocks).expect("bounded by MAX_FEATURES");
    words[2 + bit / 32 * BLOCK] = 1 << (bit % 32);
    // SAFETY: the kernel reads as many blocks as the size field says and writes none.
    unsafe { request.ethtool(&mut words)? };
    Ok(())
}

/// A 64-bit field as two words, in the order in which they lie.
fn halves(field: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = field.to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}
