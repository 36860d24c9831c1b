//! Plans of configurations, and their text.

use std::fmt::Write;
use std::path::Path;

use gridway_config::Config;

use super::addresses::INSIDE_V6;
use super::{PEERS, VNETS};

/// How a vnet translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatStyle {
    /// Inside and outside 1:1.
    Netmap,
    /// Inside 1:1, remote hosts share one address of each family.
    PoolOfOne,
    /// Inside 1:1, remote hosts share two addresses of each family.
    PoolOfTwo,
    /// As [`NatStyle::PoolOfTwo`], with the pool within the local side of the inside NAT.
    Hairpin,
    /// As [`NatStyle::PoolOfOne`], the remote hosts named by an object.
    Object,
    /// `nat = true` with empty lists.
    Identity,
    /// `nat = false`.
    Plain,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePlan {
    /// Prefix.
    pub to: &'static str,
    /// Peer.
    pub via: &'static str,
    /// Metric.
    pub metric: u8,
    /// Has a monitor, where the vnet has an address and the prefix is IPv4.
    pub monitored: bool,
}

/// An access rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclPlan {
    /// `allow`, `reject` or `drop`.
    pub action: &'static str,
    /// As the configuration writes it.
    pub protocol: &'static str,
    /// `None`: any.
    pub source: Option<&'static str>,
    /// `None`: any.
    pub destination: Option<&'static str>,
    /// Used with TCP and UDP only.
    pub ports: Option<&'static str>,
}

/// A vnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VnetPlan {
    /// NAT. [`NatStyle::Identity`] and [`NatStyle::Plain`] in the first vnet only.
    pub nat: NatStyle,
    /// Routes; a second one to the same prefix and peer is left out.
    pub routes: Vec<RoutePlan>,
    /// Rules in their order.
    pub acl: Vec<AclPlan>,
    /// Has an address of its own.
    pub address: bool,
    /// Upper limit of the MTU.
    pub mtu: Option<u16>,
    /// Silent.
    pub dark: bool,
    /// Relays.
    pub relay: bool,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPlan {
    /// The vnets of [`VNETS`].
    pub vnets: [VnetPlan; 2],
    /// `flows.midstream`.
    pub midstream: bool,
}

impl ConfigPlan {
    /// The configuration as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "[node]\nname = \"gw-a\"\ndomain = \"lab.example\"\nrole = \"gateway\"\n\
             [identity]\nca = \"ca.crt\"\ncertificate = \"node.crt\"\nprivate_key = \"node.key\"\n\
             [data]\ninterface = \"data0\"\n[management]\ninterface = \"wan0\"\n\
             [tunnel]\nlisten = \"192.0.2.1:8443\"\n[flows]\nmidstream = {}\n",
            self.midstream
        );
        for peer in PEERS {
            put(&mut text, &format!("[[peer]]\nname = \"{peer}\""));
        }
        for (prefixes, name) in
            [("\"10.200.1.0/28\", \"10.200.2.0/28\"", "remote-v4"), ("\"fd00:200:0:2::/63\"", "remote-v6")]
        {
            put(&mut text, &format!("[[object]]\nname = \"{name}\"\nprefixes = [{prefixes}]"));
        }
        for (index, vnet) in self.vnets.iter().enumerate() {
            vnet.write(index, &mut text);
        }
        text
    }

    /// The configuration.
    ///
    /// # Panics
    /// When the plan makes a configuration that is refused.
    #[must_use]
    pub fn parse(&self) -> Config {
        let text = self.text();
        Config::parse(&text, Path::new("node.toml")).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
    }
}

fn put(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes all");
}

impl VnetPlan {
    fn write(&self, index: usize, text: &mut String) {
        let nat = self.nat != NatStyle::Plain;
        put(text, &format!("[[vnet]]\nname = \"{}\"", VNETS[index]));
        put(text, &format!("cidr = [\"10.200.0.0/22\", \"fd00:200::/48\"]\nnat = {nat}"));
        put(text, &format!("dark = {}\nrelay = {}", self.dark, self.relay));
        if self.address {
            put(text, "address = [\"10.200.0.14\", \"fd00:200:0:1::fe\"]");
        }
        if let Some(mtu) = self.mtu {
            put(text, &format!("mtu = {mtu}"));
        }
        self.write_nat(index, text);
        let mut seen = Vec::new();
        for route in &self.routes {
            if !seen.contains(&(route.to, route.via)) {
                seen.push((route.to, route.via));
                self.write_route(route, text);
            }
        }
        for (line, rule) in self.acl.iter().enumerate() {
            rule.write(line, text);
        }
    }

    fn write_nat(&self, index: usize, text: &mut String) {
        let net = 16 + index;
        // Local side of the outside NAT and the remote hosts behind it, by family.
        let outside: &[(String, String)] = &match self.nat {
            NatStyle::Identity | NatStyle::Plain => return,
            NatStyle::Netmap => vec![
                ("10.200.1.0/28".to_owned(), format!("172.{net}.1.0/28")),
                ("10.200.2.0/28".to_owned(), format!("172.{net}.2.0/28")),
                ("fd00:200:0:2::/64".to_owned(), format!("fd0{}:0:0:2::/64", index + 2)),
                ("fd00:200:0:3::/64".to_owned(), format!("fd0{}:0:0:3::/64", index + 2)),
            ],
            NatStyle::PoolOfOne => pools(format!("172.{net}.1.8/32"), format!("fd0{}::8/128", index + 2)),
            NatStyle::PoolOfTwo => pools(format!("172.{net}.1.8/31"), format!("fd0{}::8/127", index + 2)),
            NatStyle::Hairpin => {
                let first = 8 + 2 * index;
                pools(format!("10.1.0.{first}/31"), format!("fd01::{first:x}/127"))
            }
            NatStyle::Object => vec![
                ("remote-v4".to_owned(), format!("172.{net}.1.8/32")),
                ("remote-v6".to_owned(), format!("fd0{}::8/128", index + 2)),
            ],
        };
        for [local, in_vnet] in [["10.1.0.0/28", "10.200.0.0/28"], INSIDE_V6] {
            put(text, &format!("[[vnet.inside_nat]]\nlocal = \"{local}\"\nvirtual = \"{in_vnet}\""));
        }
        for (remote, local) in outside {
            put(text, &format!("[[vnet.outside_nat]]\nvirtual = \"{remote}\"\nlocal = \"{local}\""));
        }
    }

    fn write_route(&self, route: &RoutePlan, text: &mut String) {
        let RoutePlan { to, via, metric, monitored } = route;
        put(text, &format!("[[vnet.route]]\nto = \"{to}\"\nvia = \"{via}\"\nmetric = {metric}"));
        if let (true, true, Some((target, _))) = (*monitored, self.address, to.split_once('/'))
            && !to.contains(':')
        {
            put(text, &format!("monitor = {{ protocol = \"icmp\", target = \"{target}\" }}"));
        }
    }
}

/// Many-to-one: all of the vnet behind a pool of each family.
fn pools(v4: String, v6: String) -> Vec<(String, String)> {
    vec![("10.200.0.0/22".to_owned(), v4), ("fd00:200::/48".to_owned(), v6)]
}

impl AclPlan {
    /// Everything passes.
    pub const ALLOW: Self =
        Self { action: "allow", protocol: "any", source: None, destination: None, ports: None };

    fn write(&self, line: usize, text: &mut String) {
        put(text, &format!("[[vnet.acl]]\nline = {line}\naction = \"{}\"", self.action));
        put(text, &format!("protocol = \"{}\"", self.protocol));
        for (key, value) in [("source", self.source), ("destination", self.destination)] {
            if let Some(value) = value {
                put(text, &format!("{key} = \"{value}\""));
            }
        }
        if let (Some(ports), "tcp" | "udp") = (self.ports, self.protocol) {
            put(text, &format!("ports = \"{ports}\""));
        }
    }
}
