//! The virtual network `dual`: both families, NAT on both sides, a node address in each.
//!
//! IPv4 is that of `corp`. IPv6 prefixes are translated as RFC 6296 says: what the prefix adds to the checksum the
//! first word of the interface identifier takes away, so the far side of `fd00:2::2` is `fd00:c0:2:0:ff3f::2`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{ALLOW_ALL, number, virtual_gateway, virtual_network};
use crate::side::Side;

/// What the inside NAT does to the first word of an interface identifier: `fd00:1` + `fdff` = `fd00:200:1`, in ones'
/// complement sums.
const INSIDE: u16 = 0xfdff;
/// What inside and outside NAT do to it together: `fd00:1` + `ff3f` = `fd00:c0:1`.
const BOTH: u16 = 0xff3f;
/// What the outside NAT alone does: `fd00:200:1` + `140` = `fd00:c0:1`.
const OUTSIDE: u16 = 0x0140;
/// Last word of a node's address in the vnet.
const GATEWAY: u16 = 0xfe;

/// Host `n` of a side as the vnet knows it: `fd00:200:1:0:fdff::2` is host 0 of side A.
#[must_use]
pub fn virtual_host6(side: Side, n: usize) -> Ipv6Addr {
    within(0x200, side, INSIDE, last_word(side.host6(n)))
}

/// Address under which hosts of the *other* side reach host `n` of `side`: `fd00:c0:2:0:ff3f::2` is what h1 dials to
/// reach h2.
#[must_use]
pub fn outside_host6(side: Side, n: usize) -> Ipv6Addr {
    within(0xc0, side, BOTH, last_word(side.host6(n)))
}

/// A side's node as hosts of the other side know it: 172.16.2.254.
#[must_use]
pub fn outside_gateway(side: Side) -> Ipv4Addr {
    Ipv4Addr::new(172, 16, number(side), 254)
}

/// A side's node as hosts of the other side know it: `fd00:c0:2:0:140::fe`.
#[must_use]
pub fn outside_gateway6(side: Side) -> Ipv6Addr {
    within(0xc0, side, OUTSIDE, GATEWAY)
}

fn last_word(address: Ipv6Addr) -> u16 {
    address.segments()[7]
}

fn within(second: u16, side: Side, identifier: u16, last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, second, number(side).into(), 0, identifier, 0, 0, last)
}

/// Vnet `dual` on a side's node with a rule that allows everything.
#[must_use]
pub fn dual(side: Side) -> String {
    dual_with(side, "") + ALLOW_ALL
}

/// Vnet `dual` without an access rule; `options` are further lines of its table, such as `mtu = 1300`.
#[must_use]
pub fn dual_with(side: Side, options: &str) -> String {
    let far = side.other();
    format!(
        r#"
[[vnet]]
name = "dual"
cidr = ["10.200.0.0/16", "fd00:200::/32"]
address = ["{address}", "{address6}"]
{options}

  [[vnet.inside_nat]]
  local = "{local}"
  virtual = "{inside}"

  [[vnet.inside_nat]]
  local = "{local6}"
  virtual = "fd00:200:{near_number}::/64"

  [[vnet.outside_nat]]
  virtual = "{outside}"
  local = "172.16.{far_number}.0/24"

  [[vnet.outside_nat]]
  virtual = "fd00:200:{far_number}::/64"
  local = "fd00:c0:{far_number}::/64"

  [[vnet.route]]
  to = "{outside}"
  via = "{peer}"

  [[vnet.route]]
  to = "fd00:200:{far_number}::/64"
  via = "{peer}"
"#,
        address = virtual_gateway(side),
        address6 = within(0x200, side, 0, GATEWAY),
        local = side.network(),
        inside = virtual_network(side),
        local6 = side.network6(),
        outside = virtual_network(far),
        near_number = number(side),
        far_number = number(far),
        peer = far.node(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Translation between prefixes is to leave the sum of an address as it was.
    fn sum(address: Ipv6Addr) -> u32 {
        let sum: u32 = address.segments().into_iter().map(u32::from).sum();
        (sum & 0xffff) + (sum >> 16)
    }

    #[test]
    fn translated_addresses_are_neutral_to_the_checksum() {
        for side in Side::BOTH {
            let own = sum(side.host6(0));
            assert_eq!(sum(virtual_host6(side, 0)), own);
            assert_eq!(sum(outside_host6(side, 0)), own);
            assert_eq!(sum(outside_gateway6(side)), sum(within(0x200, side, 0, GATEWAY)));
        }
    }
}
