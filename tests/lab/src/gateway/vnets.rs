//! Virtual networks that most tests need, as TOML text for [`super::NodeConfig::with`].

mod dual;

use std::net::Ipv4Addr;

pub use dual::{dual, dual_with, outside_gateway, outside_gateway6, outside_host6, virtual_host6};

use crate::side::Side;

/// Network of a side's hosts as the vnet `corp` knows them: `10.200.1.0/24`.
#[must_use]
pub fn virtual_network(side: Side) -> String {
    format!("10.200.{}.0/24", number(side))
}

/// Host `n` of a side as the vnet `corp` knows it: 10.200.1.2 is host 0 of side A.
#[must_use]
pub fn virtual_host(side: Side, n: usize) -> Ipv4Addr {
    let [.., last] = side.host(n).octets();
    Ipv4Addr::new(10, 200, number(side), last)
}

/// Address under which hosts of the *other* side reach host `n` of `side`: 172.16.2.2 is what h1 dials to reach h2.
#[must_use]
pub fn outside_host(side: Side, n: usize) -> Ipv4Addr {
    let [.., last] = side.host(n).octets();
    Ipv4Addr::new(172, 16, number(side), last)
}

/// A side's node in the vnet `corp`: 10.200.1.254.
#[must_use]
pub fn virtual_gateway(side: Side) -> Ipv4Addr {
    Ipv4Addr::new(10, 200, number(side), 254)
}

fn number(side: Side) -> u8 {
    match side {
        Side::A => 1,
        Side::B => 2,
    }
}

/// Vnet `corp` on a side's node: both NATs 1:1 with proxy ARP, one route to the other side, no access rule.
#[must_use]
pub fn corp_without_acl(side: Side) -> String {
    let far = side.other();
    format!(
        r#"
[[vnet]]
name = "corp"
cidr = "10.200.0.0/16"
address = "{address}"

  [[vnet.inside_nat]]
  local = "{local}"
  virtual = "{inside}"

  [[vnet.outside_nat]]
  virtual = "{outside}"
  local = "172.16.{number}.0/24"
  proxy_arp = true

  [[vnet.route]]
  to = "{outside}"
  via = "{peer}"
"#,
        address = virtual_gateway(side),
        local = side.network(),
        inside = virtual_network(side),
        outside = virtual_network(far),
        number = number(far),
        peer = far.node(),
    )
}

/// Vnet `corp` on a side's node with a rule that allows everything. h1 reaches h2 at 172.16.2.2.
#[must_use]
pub fn corp(side: Side) -> String {
    corp_without_acl(side) + ALLOW_ALL
}

/// Vnet `corp` on the hub between both sides' nodes, with its `relay` switch and access rules.
#[must_use]
pub fn corp_hub(relay: bool, rules: &str) -> String {
    format!(
        r#"
[[vnet]]
name = "corp"
cidr = "10.200.0.0/16"
address = "10.200.3.254"
relay = {relay}

  [[vnet.route]]
  to = "{}"
  via = "{}"

  [[vnet.route]]
  to = "{}"
  via = "{}"
{rules}"#,
        virtual_network(Side::A),
        Side::A.node(),
        virtual_network(Side::B),
        Side::B.node(),
    )
}

/// Vnet `plain` on a side's node: no NAT, real addresses of both families, everything allowed. h1 reaches h2 at
/// 10.2.0.2 and fd00:2::2.
#[must_use]
pub fn plain(side: Side) -> String {
    let far = side.other();
    format!(
        r#"
[[vnet]]
name = "plain"
cidr = ["10.0.0.0/14", "fd00::/28"]
nat = false

  [[vnet.route]]
  to = "{network}"
  via = "{peer}"

  [[vnet.route]]
  to = "{network6}"
  via = "{peer}"
"#,
        network = far.network(),
        network6 = far.network6(),
        peer = far.node(),
    ) + ALLOW_ALL
}

/// An access rule for the vnet above it: everything may pass.
pub const ALLOW_ALL: &str = "
  [[vnet.acl]]
  line = 10
  action = \"allow\"
  protocol = \"any\"
";
