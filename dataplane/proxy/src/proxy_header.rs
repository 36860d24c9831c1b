//! The PROXY protocol's header, version 2, with which a target learns who its client is ("The PROXY protocol",
//! HAProxy, section 2.2).

use std::net::{IpAddr, SocketAddr};

/// The twelve bytes that no other protocol begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 in the upper half, the command PROXY in the lower: the connection is made for someone else.
const VERSION_AND_COMMAND: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The bytes to send to a target before anything else: `client` connected to `listen`, the connector's address, over
/// TCP.
///
/// An IPv4-mapped IPv6 address counts as the IPv4 address that it is. The header has one family for both addresses:
/// where they differ, the IPv4 address is written as an IPv4-mapped IPv6 one (RFC 4291 2.5.5.2).
#[must_use]
pub fn proxy_header(client: SocketAddr, listen: SocketAddr) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.push(VERSION_AND_COMMAND);
    match (client.ip().to_canonical(), listen.ip().to_canonical()) {
        (IpAddr::V4(client), IpAddr::V4(listen)) => {
            header.extend([TCP_OVER_IPV4, 0, 12]);
            header.extend(client.octets());
            header.extend(listen.octets());
        }
        (client, listen) => {
            header.extend([TCP_OVER_IPV6, 0, 36]);
            header.extend(ipv6_octets(client));
            header.extend(ipv6_octets(listen));
        }
    }
    header.extend(client.port().to_be_bytes());
    header.extend(listen.port().to_be_bytes());
    header
}

fn ipv6_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &[u8] = &[0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21];

    fn header(client: &str, listen: &str) -> Vec<u8> {
        proxy_header(client.parse().unwrap(), listen.parse().unwrap())
    }

    fn expected(rest: &[u8]) -> Vec<u8> {
        [START, rest].concat()
    }

    #[test]
    fn ipv4_is_twelve_bytes_of_addresses() {
        let rest = [0x11, 0, 12, 192, 0, 2, 7, 10, 1, 0, 1, 0xab, 0xcd, 0x3c, 0x38];
        assert_eq!(header("192.0.2.7:43981", "10.1.0.1:15416"), expected(&rest));
    }

    #[test]
    fn ipv6_is_thirty_six_bytes_of_addresses() {
        let mut rest = vec![0x21, 0, 36];
        rest.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        rest.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x00, 0x50, 0x01, 0xbb]);
        assert_eq!(header("[2001:db8::7]:80", "[fd00::1]:443"), expected(&rest));
    }

    #[test]
    fn of_two_families_ipv4_is_written_as_mapped() {
        let mut rest = vec![0x21, 0, 36];
        rest.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7]);
        rest.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x00, 0x50, 0x01, 0xbb]);
        assert_eq!(header("192.0.2.7:80", "[fd00::1]:443"), expected(&rest));
    }

    #[test]
    fn a_mapped_address_is_ipv4() {
        assert_eq!(
            header("[::ffff:192.0.2.7]:80", "[::ffff:10.1.0.1]:443"),
            header("192.0.2.7:80", "10.1.0.1:443")
        );
    }
}
