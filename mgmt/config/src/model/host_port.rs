//! A host and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::name::NameError;

/// `host:port`: where a peer is dialled, or where a service is. The host is an address or a DNS name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// IPv4 address, IPv6 address without brackets, or DNS name.
    pub host: String,
    /// Port of TCP or UDP, not 0.
    pub port: u16,
}

impl HostPort {
    /// What [`HostPort::from_str`] accepts.
    pub const EXPECTED: &'static str =
        "host:port, such as 10.2.0.2:5432, [2001:db8::2]:5432 or db.example:5432";

    /// Reads `host:port`; without a port `default_port` stands in, or the text is refused.
    pub(crate) fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => {
                host.parse::<Ipv6Addr>().ok()?;
                (host, rest.strip_prefix(':').or(if rest.is_empty() { None } else { Some("refused") }))
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
            Some(_) => return None,
            None => default_port?,
        };
        (port != 0 && is_host(host)).then(|| Self { host: host.to_owned(), port })
    }
}

impl FromStr for HostPort {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text, None).ok_or_else(|| NameError { found: text.to_owned(), expected: Self::EXPECTED })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An IP address, or a DNS name in either case (RFC 1123). All digits and dots must be an address.
fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253
        && text.split('.').all(label)
        && text.rsplit('.').next().is_some_and(|last| last.bytes().any(|byte| !byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_names_and_a_port_may_be_left_out_where_one_is_usual() {
        for (text, host, port) in [
            ("192.0.2.2:8443", "192.0.2.2", 8443),
            ("gw.example:1", "gw.example", 1),
            ("[2001:db8::2]:9000", "2001:db8::2", 9000),
            ("2001:db8::2", "2001:db8::2", 8443),
            ("[2001:db8::2]", "2001:db8::2", 8443),
            ("gw", "gw", 8443),
        ] {
            let target = HostPort::parse(text, Some(8443)).unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port));
            assert_eq!(target.to_string().parse::<HostPort>().unwrap(), target);
        }
        for bad in [
            "",
            ":1",
            "gw:",
            "gw:0",
            "gw:65536",
            "gw:+1",
            "[gw]:1",
            "[::1]x:1",
            "192.0.2:1",
            "a b:1",
            "a:b:1",
        ] {
            assert!(HostPort::parse(bad, Some(8443)).is_none(), "{bad}");
        }
        for without_port in ["gw", "192.0.2.2", "2001:db8::2", "[2001:db8::2]"] {
            assert!(without_port.parse::<HostPort>().is_err(), "{without_port}");
        }
    }
}
