//! Offload features, by name, as `ethtool -k` lists them.

use std::io;

use crate::Interface;

const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETH_SS_FEATURES: u32 = 4;
const ETH_GSTRING_LEN: usize = 32;
/// Far above the kernel's 64: a bound for what it may claim.
const MAX_FEATURES: usize = 4096;

/// One offload feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The kernel's name for it, such as `rx-vlan-hw-parse`.
    pub name: String,
    /// Whether it is on.
    pub active: bool,
    /// Its bit, and the number of all features.
    place: (usize, usize),
}

impl Interface {
    /// All features of the interface. A device without ethtool has none.
    ///
    /// # Errors
    /// Those of the ioctl; `InvalidData` when the kernel claims absurdly many.
    pub fn features(&self) -> io::Result<Vec<Feature>> {
        let names = match feature_names(self) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(Vec::new()),
            other => other?,
        };
        let active = active(self, names.len())?;
        let count = names.len();
        let is_active = |bit: usize| active[bit / 32] & (1 << (bit % 32)) != 0;
        let features = names.into_iter().enumerate();
        Ok(features
            .map(|(bit, name)| Feature { name, active: is_active(bit), place: (bit, count) })
            .collect())
    }

    /// Asks for a feature to be off. The driver may not comply, and say nothing.
    ///
    /// # Errors
    /// Those of the ioctl.
    pub fn switch_off(&self, feature: &Feature) -> io::Result<()> {
        // struct ethtool_sfeatures: cmd, size, then blocks of valid, requested.
        const BLOCK: usize = 2;
        let (bit, count) = feature.place;
        let blocks = count.div_ceil(32);
        let mut words = vec![0; 2 + blocks * BLOCK];
        words[0] = ETHTOOL_SFEATURES;
        words[1] = u32::try_from(blocks).expect("bounded by MAX_FEATURES");
        words[2 + bit / 32 * BLOCK] = 1 << (bit % 32);
        // SAFETY: the kernel reads as many blocks as the size field says and writes none.
        unsafe { self.ethtool(&mut words)? };
        Ok(())
    }
}

/// Names of all features, in the order of their bits.
fn feature_names(request: &Interface) -> io::Result<Vec<String>> {
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

/// Which features are on, 32 a word.
fn active(request: &Interface, count: usize) -> io::Result<Vec<u32>> {
    // struct ethtool_gfeatures: cmd, size, then blocks of available, requested, active, never_changed.
    const BLOCK: usize = 4;
    const ACTIVE: usize = 2;
    let blocks = count.div_ceil(32);
    let mut words = vec![0; 2 + blocks * BLOCK];
    words[0] = ETHTOOL_GFEATURES;
    words[1] = u32::try_from(blocks).expect("bounded by MAX_FEATURES");
    // SAFETY: the kernel writes no more blocks than the size field says.
    unsafe { request.ethtool(&mut words)? };
    Ok(words[2..].chunks_exact(BLOCK).map(|block| block[ACTIVE]).collect())
}

/// A 64-bit field as two words, in the order in which they lie.
fn halves(field: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = field.to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}
