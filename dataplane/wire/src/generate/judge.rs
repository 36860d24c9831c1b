//! etherparse's opinion of a packet.

use etherparse::{NetSlice, SlicedPacket, TransportSlice, UdpHeader};

/// Parses a whole IP packet with etherparse and computes every checksum again: the IPv4 header's, and those of
/// TCP, UDP, ICMPv4 and ICMPv6 (not of fragments). A UDP checksum of 0 passes.
///
/// # Errors
/// What etherparse finds wrong, as text.
pub fn judge(packet: &[u8]) -> Result<(), String> {
    let sliced = SlicedPacket::from_ip(packet).map_err(|error| format!("etherparse refuses it: {error}"))?;
    match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header().to_header();
            same("IPv4 header", header.header_checksum, header.calc_header_checksum())?;
            let (source, destination) = (header.source, header.destination);
            match &sliced.transport {
                Some(TransportSlice::Tcp(tcp)) => {
                    let computed = tcp.calc_checksum_ipv4(source, destination).map_err(|e| e.to_string())?;
                    same("TCP", tcp.checksum(), computed)
                }
                Some(TransportSlice::Udp(udp)) => udp_checksum(&udp.to_header(), |header| {
                    header
                        .calc_checksum_ipv4_raw(source, destination, udp.payload())
                        .map_err(|e| e.to_string())
                }),
                Some(TransportSlice::Icmpv4(icmp)) => {
                    let computed = icmp.icmp_type().calc_checksum(icmp.payload());
                    same("ICMPv4", icmp.checksum(), computed)
                }
                _ => Ok(()),
            }
        }
        Some(NetSlice::Ipv6(ip)) => {
            let (source, destination) = (ip.header().source(), ip.header().destination());
            match &sliced.transport {
                Some(TransportSlice::Tcp(tcp)) => {
                    let computed = tcp.calc_checksum_ipv6(source, destination).map_err(|e| e.to_string())?;
                    same("TCP", tcp.checksum(), computed)
                }
                Some(TransportSlice::Udp(udp)) => udp_checksum(&udp.to_header(), |header| {
                    header
                        .calc_checksum_ipv6_raw(source, destination, udp.payload())
                        .map_err(|e| e.to_string())
                }),
                Some(TransportSlice::Icmpv6(icmp)) => {
                    if icmp.is_checksum_valid(source, destination) {
                        Ok(())
                    } else {
                        Err(format!("ICMPv6 checksum {:#06x} is wrong", icmp.checksum()))
                    }
                }
                _ => Ok(()),
            }
        }
        other => Err(format!("etherparse sees no IP packet: {other:?}")),
    }
}

fn same(what: &str, stored: u16, computed: u16) -> Result<(), String> {
    if stored == computed {
        return Ok(());
    }
    Err(format!("{what} checksum is {stored:#06x}, etherparse computes {computed:#06x}"))
}

fn udp_checksum(
    header: &UdpHeader,
    compute: impl FnOnce(&UdpHeader) -> Result<u16, String>,
) -> Result<(), String> {
    if header.checksum == 0 { Ok(()) } else { same("UDP", header.checksum, compute(header)?) }
}
