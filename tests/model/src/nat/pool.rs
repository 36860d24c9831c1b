//! Addresses of a pool.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The addresses of a pool, in order. An IPv4 pool shorter than /31 does not use its first and last one:
/// hosts take them for the network and the broadcast address.
pub fn usable_pool(pool: IpNet) -> Box<dyn Iterator<Item = IpAddr>> {
    match pool {
        IpNet::V4(pool) => {
            let (first, last) = (u32::from(pool.network()), u32::from(pool.broadcast()));
            let range = if pool.prefix_len() < 31 { first + 1..=last - 1 } else { first..=last };
            Box::new(range.map(|bits| IpAddr::V4(Ipv4Addr::from(bits))))
        }
        IpNet::V6(pool) => {
            let (first, last) = (u128::from(pool.network()), u128::from(pool.broadcast()));
            Box::new((first..=last).map(|bits| IpAddr::V6(Ipv6Addr::from(bits))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(text: &str) -> Vec<String> {
        usable_pool(text.parse().unwrap()).map(|address| address.to_string()).collect()
    }

    #[test]
    fn first_and_last_of_a_short_ipv4_prefix_stay_unused() {
        assert_eq!(pool("172.16.0.8/30"), ["172.16.0.9", "172.16.0.10"]);
        assert_eq!(pool("172.16.0.8/31"), ["172.16.0.8", "172.16.0.9"]);
        assert_eq!(pool("172.16.0.8/32"), ["172.16.0.8"]);
        assert_eq!(pool("fd00::4/126"), ["fd00::4", "fd00::5", "fd00::6", "fd00::7"]);
    }
}
