//! Values of options.

use std::net::IpAddr;
use std::time::Duration;

use gridway_config::{PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, parse_duration};
use gridway_control::Side;
use ipnet::IpNet;

/// ICMP of IPv6 (RFC 4443).
pub(crate) const PROTOCOL_ICMPV6: u8 = 58;
const TCP_FLAGS: [&str; 8] = ["SYN", "ACK", "PSH", "FIN", "RST", "URG", "ECE", "CWR"];

pub(crate) fn protocol(text: &str) -> Result<u8, String> {
    match text {
        "tcp" => Ok(PROTOCOL_TCP),
        "udp" => Ok(PROTOCOL_UDP),
        "icmp" => Ok(PROTOCOL_ICMP),
        "icmpv6" => Ok(PROTOCOL_ICMPV6),
        _ => text.parse().map_err(|_| "expected tcp, udp, icmp, icmpv6 or a number from 0 to 255".to_owned()),
    }
}

pub(crate) fn tcp_flags(text: &str) -> Result<String, String> {
    let flags = text.to_ascii_uppercase();
    if flags.split(',').all(|flag| TCP_FLAGS.contains(&flag)) {
        Ok(flags)
    } else {
        Err(format!("expected some of {}, with commas between", TCP_FLAGS.join(", ")))
    }
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a time with a unit, such as 30s or 5m".to_owned())
}

/// Whole seconds, rounded up.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let time = duration(text)?;
    Ok(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

pub(crate) fn side(text: &str) -> Result<Side, String> {
    match text {
        "local" => Ok(Side::Local),
        "overlay" => Ok(Side::Overlay),
        _ => Err("expected local or overlay".to_owned()),
    }
}

/// A prefix, or an address as the prefix that holds it alone.
pub(crate) fn prefix(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let prefix: Option<IpNet> = text.parse().ok();
    prefix
        .or_else(alone)
        .map(|prefix| prefix.trunc())
        .ok_or_else(|| "expected an address or a prefix, such as 10.1.0.0/24".to_owned())
}

/// Bytes: a number, with `k`, `M` or `G` behind it for powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let shift = match text.bytes().last() {
        Some(b'k' | b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        _ => 0,
    };
    let number = if shift == 0 { text } else { &text[..text.len() - 1] };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "expected a size in bytes, such as 100M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, size) in [("7", 7), ("2k", 2048), ("3M", 3 << 20), ("1G", 1 << 30)] {
            assert_eq!(bytes(text), Ok(size));
        }
        for bad in ["", "0", "k", "-1", "1T", "1.5M", "99999999999999G"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_a_prefix_of_its_own() {
        assert_eq!(prefix("10.1.0.7").unwrap().to_string(), "10.1.0.7/32");
        assert_eq!(prefix("10.1.0.7/24").unwrap().to_string(), "10.1.0.0/24");
        assert_eq!(prefix("fd00::1").unwrap().to_string(), "fd00::1/128");
        assert!(prefix("10.1.0.0/33").is_err() && prefix("gw-a").is_err());
    }
}
