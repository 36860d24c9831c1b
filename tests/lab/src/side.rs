//! The two sides of the laboratory and their addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Interface of a host towards its gateway.
pub const HOST_INTERFACE: &str = "eth0";
/// Interface of a gateway towards its hosts.
pub const DATA_INTERFACE: &str = "data0";
/// Interface of a gateway towards the other gateway.
pub const WAN_INTERFACE: &str = "wan0";
/// Port that gateways listen on for tunnels.
pub const TUNNEL_PORT: u16 = 8443;

/// One half of `h1 -- data -- gwa == wan == gwb -- data -- h2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// h1 and gwa: 10.1.0.0/24, fd00:1::/64.
    A,
    /// h2 and gwb: 10.2.0.0/24, fd00:2::/64.
    B,
}

impl Side {
    /// Both, A first.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The opposite side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// 0 for A, 1 for B.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self == Self::B)
    }

    fn number(self) -> u8 {
        match self {
            Self::A => 1,
            Self::B => 2,
        }
    }

    /// Name of the node: `gw-a`, `gw-b`.
    #[must_use]
    pub fn node(self) -> &'static str {
        match self {
            Self::A => "gw-a",
            Self::B => "gw-b",
        }
    }

    /// Name of the gateway's namespace: `gwa`, `gwb`.
    #[must_use]
    pub fn gateway(self) -> &'static str {
        match self {
            Self::A => "gwa",
            Self::B => "gwb",
        }
    }

    /// Address of host `n`, counted from 0: 10.1.0.2 is host 0 of side A.
    ///
    /// # Panics
    /// If `n` is above 252, the hosts of a /24.
    #[must_use]
    pub fn host(self, n: usize) -> Ipv4Addr {
        assert!(n <= 252, "a /24 holds 253 hosts, asked for index {n}");
        Ipv4Addr::new(10, self.number(), 0, n as u8 + 2)
    }

    /// IPv6 address of host `n`, counted from 0: fd00:1::2 is host 0 of side A.
    ///
    /// # Panics
    /// As [`Side::host`].
    #[must_use]
    pub fn host6(self, n: usize) -> Ipv6Addr {
        assert!(n <= 252, "hosts are counted as in a /24, asked for index {n}");
        Ipv6Addr::new(0xfd00, u16::from(self.number()), 0, 0, 0, 0, 0, n as u16 + 2)
    }

    /// The gateway's address on the data link: 10.1.0.1.
    #[must_use]
    pub fn data(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.number(), 0, 1)
    }

    /// The gateway's IPv6 address on the data link: fd00:1::1.
    #[must_use]
    pub fn data6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, u16::from(self.number()), 0, 0, 0, 0, 0, 1)
    }

    /// The gateway's WAN address: 192.0.2.1 (RFC 5737).
    #[must_use]
    pub fn wan(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number())
    }

    /// The gateway's IPv6 WAN address: 2001:db8::1 (RFC 3849).
    #[must_use]
    pub fn wan6(self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(self.number()))
    }

    /// Where the gateway listens for tunnels: 192.0.2.1:8443.
    #[must_use]
    pub fn tunnel(self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.wan()), TUNNEL_PORT)
    }

    /// The data network, IPv4: `10.1.0.0/24`.
    #[must_use]
    pub fn network(self) -> &'static str {
        match self {
            Self::A => "10.1.0.0/24",
            Self::B => "10.2.0.0/24",
        }
    }

    /// The data network, IPv6: `fd00:1::/64`.
    #[must_use]
    pub fn network6(self) -> &'static str {
        match self {
            Self::A => "fd00:1::/64",
            Self::B => "fd00:2::/64",
        }
    }
}
