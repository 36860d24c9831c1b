//! Sizes of generated packets.

use std::fmt;
use std::str::FromStr;

/// Smallest frame: 64 bytes with the check sequence, which the NIC adds.
const SMALLEST: u16 = 64;
/// Largest frame without a VLAN tag, with the check sequence (IEEE 802.3).
const LARGEST: u16 = 1518;
/// Bytes of the frame check sequence.
const CHECK_SEQUENCE: u16 = 4;
/// Of 48 packets: 28 small, 16 of medium size, 4 large.
const IMIX: [(u16, usize); 3] = [(64, 28), (570, 16), (1518, 4)];

/// Sizes of Ethernet frames, in bytes with the check sequence, as RFC 2544 counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// All of one size.
    Fixed(u16),
    /// 28 of 64, 16 of 570 and 4 of 1518 bytes, spread evenly.
    Imix,
}

impl Sizes {
    /// One period of lengths without the check sequence.
    pub(crate) fn lengths(self) -> Vec<usize> {
        match self {
            Self::Fixed(size) => vec![usize::from(size - CHECK_SEQUENCE)],
            Self::Imix => {
                let total: usize = IMIX.iter().map(|(_, count)| count).sum();
                // Each size in turn where it is most behind its share.
                let mut given = [0_usize; IMIX.len()];
                let mut lengths = Vec::with_capacity(total);
                for position in 1..=total {
                    let behind = |index: &usize| {
                        (IMIX[*index].1 * position) as isize - (given[*index] * total) as isize
                    };
                    let next = (0..IMIX.len()).max_by_key(behind).unwrap_or_default();
                    given[next] += 1;
                    lengths.push(usize::from(IMIX[next].0 - CHECK_SEQUENCE));
                }
                lengths
            }
        }
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "imix" {
            return Ok(Self::Imix);
        }
        match text.parse() {
            Ok(size) if (SMALLEST..=LARGEST).contains(&size) => Ok(Self::Fixed(size)),
            _ => {
                Err(format!("a frame has {SMALLEST} to {LARGEST} bytes with its check sequence, or is imix"))
            }
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Imix => f.write_str("imix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imix_has_its_shares_and_spreads_them() {
        let lengths = Sizes::Imix.lengths();
        let count = |size: usize| lengths.iter().filter(|length| **length + 4 == size).count();
        assert_eq!([count(64), count(570), count(1518)], [28, 16, 4]);
        let large: Vec<_> = (0..48).filter(|index| lengths[*index] == 1514).collect();
        assert!(large.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{large:?}");
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!("64".parse(), Ok(Sizes::Fixed(64)));
        assert_eq!("imix".parse(), Ok(Sizes::Imix));
        for wrong in ["63", "1519", "", "x"] {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong}");
        }
    }
}
