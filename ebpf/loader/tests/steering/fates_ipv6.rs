//! The rows of the table for IPv6: extension headers, fragments, neighbour discovery.

use crate::common::{Bench, check, frames::*};
use gridway_steer::Fate;

const HOST6: &str = "2001:db8:1::2";
const REMOTE: &str = "2001:db8:2::9";
const LISTENER: &str = "2001:db8:9::1";

#[test]
fn steers_ipv6_by_destination() {
    let tcp = [&40_000u16.to_be_bytes()[..], &53u16.to_be_bytes(), &[0; 16]].concat();
    check(
        &Bench::new(),
        vec![
            ("own address", udp6(OURS, HOST6, "2001:db8:1::1", 9), Fate::ToKernelOwnAddress),
            ("own link-local address", udp6(OURS, "fe80::2", "fe80::1", 546), Fate::ToKernelOwnAddress),
            ("another link-local address", udp6(OURS, "fe80::2", "fe80::3", 9), Fate::ToWorkerIp),
            ("any other IP", udp6(OURS, HOST6, REMOTE, 9), Fate::ToWorkerIp),
            ("DHCP's port is IPv4's", udp6(OURS, HOST6, REMOTE, 68), Fate::ToWorkerIp),
            ("no next header", ipv6(OURS, HOST6, REMOTE, 59, 64, &[]), Fate::ToWorkerIp),
            ("encrypted payload", ipv6(OURS, HOST6, REMOTE, 50, 64, &[0; 24]), Fate::ToWorkerIp),
            ("listener", udp6(OURS, HOST6, LISTENER, 53), Fate::ToKernelListener),
            ("listener's address, other port", udp6(OURS, HOST6, LISTENER, 54), Fate::ToWorkerIp),
            ("listener's port, other protocol", ipv6(OURS, HOST6, LISTENER, 6, 64, &tcp), Fate::ToWorkerIp),
            ("multicast", udp6(GROUP6, HOST6, "ff02::fb", 5353), Fate::ToKernelGroup),
            ("multicast by unicast MAC (RFC 6085)", udp6(OURS, HOST6, "ff02::fb", 5353), Fate::ToKernelGroup),
            ("unicast by group MAC", udp6(GROUP6, HOST6, "2001:db8:ffff::1", 9), Fate::DropGroupUnicast),
            ("unicast by broadcast MAC", udp6(BROADCAST, HOST6, REMOTE, 9), Fate::DropGroupUnicast),
            ("v4-mapped destination", udp6(OURS, HOST6, "::ffff:10.1.0.1", 9), Fate::DropMalformed),
            ("v4-mapped source", udp6(OURS, "::ffff:10.1.0.2", REMOTE, 9), Fate::DropMalformed),
        ],
    );
}

#[test]
fn walks_extension_headers_to_the_ports() {
    let udp = udp_segment(53);
    // Authentication header: its length counts words of four bytes, less two.
    let authenticated = [&[17, 4, 0, 0][..], &[0; 20], &udp].concat();
    let long = [&[17, 2, 1, 20][..], &[0; 20], &udp].concat();
    let chain = |first: u8, count: u8, then: u8| {
        let mut body = extension(then, &udp);
        for _ in 1..count {
            body = extension(60, &body);
        }
        ipv6(OURS, HOST6, LISTENER, first, 64, &body)
    };
    check(
        &Bench::new(),
        vec![
            ("hop-by-hop", chain(0, 1, 17), Fate::ToKernelListener),
            ("routing", chain(43, 1, 17), Fate::ToKernelListener),
            ("destination options", chain(60, 1, 17), Fate::ToKernelListener),
            ("mobility", chain(135, 1, 17), Fate::ToKernelListener),
            ("host identity", chain(139, 1, 17), Fate::ToKernelListener),
            ("shim6", chain(140, 1, 17), Fate::ToKernelListener),
            ("hop-by-hop, then options", chain(0, 2, 17), Fate::ToKernelListener),
            ("24 bytes of options", ipv6(OURS, HOST6, LISTENER, 60, 64, &long), Fate::ToKernelListener),
            ("authentication", ipv6(OURS, HOST6, LISTENER, 51, 64, &authenticated), Fate::ToKernelListener),
            ("eight headers", chain(0, 8, 17), Fate::ToKernelListener),
            ("nine headers", chain(0, 9, 17), Fate::DropMalformed),
            ("hop-by-hop not first", chain(60, 1, 0), Fate::DropMalformed),
            ("a header that leaves the packet", chain(0, 1, 60), Fate::DropMalformed),
            ("a header where nothing is left", ipv6(OURS, HOST6, REMOTE, 60, 64, &[]), Fate::DropMalformed),
            (
                "a header of seven bytes",
                ipv6(OURS, HOST6, REMOTE, 60, 64, &[59, 0, 1, 4, 0, 0, 0]),
                Fate::DropMalformed,
            ),
            ("ports behind the end", ipv6(OURS, HOST6, REMOTE, 17, 64, &[0; 3]), Fate::DropMalformed),
        ],
    );
}

#[test]
fn fragments_of_ipv6_follow_their_first_fragment() {
    let udp = |port| udp_segment(port);
    let fragment = |id, offset, more, port| {
        ipv6(OURS, HOST6, LISTENER, 44, 64, &fragment_header(17, id, offset, more, &udp(port)))
    };
    let options_after = fragment_header(60, 90, 0, true, &extension(17, &udp(53)));
    let options_later = fragment_header(60, 90, 3, false, b"anything");
    let twice = fragment_header(44, 1, 0, true, &fragment_header(17, 1, 0, true, &udp(53)));
    check(
        &Bench::new(),
        vec![
            ("a later one that overtakes", fragment(7, 2, true, 53), Fate::ToWorkerIp),
            ("first, to a listener", fragment(7, 0, true, 53), Fate::ToKernelListener),
            ("second", fragment(7, 2, true, 53), Fate::ToKernelListener),
            ("last", fragment(7, 4, false, 53), Fate::ToKernelListener),
            ("another datagram's", fragment(8, 2, true, 53), Fate::ToWorkerIp),
            (
                "first of another port with the same identification",
                fragment(7, 0, true, 54),
                Fate::ToWorkerIp,
            ),
            ("its second", fragment(7, 2, false, 54), Fate::ToWorkerIp),
            ("atomic fragment (RFC 6946)", fragment(10, 0, false, 53), Fate::ToKernelListener),
            ("which none follows", fragment(10, 2, false, 53), Fate::ToWorkerIp),
            (
                "options behind the fragment header",
                ipv6(OURS, HOST6, LISTENER, 44, 64, &options_after),
                Fate::ToKernelListener,
            ),
            ("its last", ipv6(OURS, HOST6, LISTENER, 44, 64, &options_later), Fate::ToKernelListener),
            ("two fragment headers", ipv6(OURS, HOST6, LISTENER, 44, 64, &twice), Fate::DropMalformed),
            (
                "first fragment without ports (RFC 1858)",
                ipv6(OURS, HOST6, LISTENER, 44, 64, &fragment_header(17, 2, 0, true, &[1, 2])),
                Fate::DropMalformed,
            ),
        ],
    );
}

#[test]
fn answers_solicitations_for_proxied_addresses_only() {
    check(
        &Bench::new(),
        vec![
            (
                "for a proxied address",
                neighbour_solicitation(HOST6, None, REMOTE),
                Fate::ToWorkerNeighbourSolicitation,
            ),
            (
                "from a link-local address",
                neighbour_solicitation("fe80::2", None, REMOTE),
                Fate::ToWorkerNeighbourSolicitation,
            ),
            (
                "unicast, to see whether it is still there",
                neighbour_solicitation(HOST6, Some(REMOTE), REMOTE),
                Fate::ToWorkerNeighbourSolicitation,
            ),
            (
                "one beyond the prefix",
                neighbour_solicitation(HOST6, None, "2001:db8:3::"),
                Fate::ToKernelNeighbourDiscovery,
            ),
            (
                "for an own address",
                neighbour_solicitation(HOST6, None, "2001:db8:1::1"),
                Fate::ToKernelNeighbourDiscovery,
            ),
            (
                "unicast for an own address",
                neighbour_solicitation(HOST6, Some("2001:db8:1::1"), "2001:db8:1::1"),
                Fate::ToKernelNeighbourDiscovery,
            ),
            (
                "duplicate address detection",
                neighbour_solicitation("::", None, REMOTE),
                Fate::ToKernelNeighbourDiscovery,
            ),
            (
                "of the sender itself",
                neighbour_solicitation(REMOTE, None, REMOTE),
                Fate::ToKernelNeighbourDiscovery,
            ),
        ],
    );
}

#[test]
fn gives_the_other_neighbour_discovery_to_the_kernel() {
    let message = |kind: u8, length: usize| [&[kind][..], &vec![0; length - 1]].concat();
    let cases = [(133, 8), (134, 16), (136, 24), (137, 40)].map(|(kind, length)| {
        let to_group = ipv6(GROUP6, "fe80::2", "ff02::1", 58, 255, &message(kind, length));
        ("to a group", to_group, Fate::ToKernelNeighbourDiscovery)
    });
    let advertisement = message(136, 24);
    let bench = Bench::new();
    check(&bench, cases.to_vec());
    check(
        &bench,
        vec![
            (
                "to an own address",
                ipv6(OURS, "fe80::2", "fe80::1", 58, 255, &advertisement),
                Fate::ToKernelNeighbourDiscovery,
            ),
            (
                "to any link-local address",
                ipv6(OURS, "fe80::2", "fe80::7", 58, 255, &advertisement),
                Fate::ToKernelNeighbourDiscovery,
            ),
            ("to a remote host", ipv6(OURS, "fe80::2", REMOTE, 58, 255, &advertisement), Fate::ToWorkerIp),
            (
                "echo request",
                ipv6(OURS, HOST6, REMOTE, 58, 64, &[128, 0, 0, 0, 0, 1, 0, 1]),
                Fate::ToWorkerIp,
            ),
            (
                "multicast listener report",
                ipv6(GROUP6, "fe80::2", "ff02::16", 0, 1, &extension(58, &[143, 0, 0, 0, 0, 0, 0, 0])),
                Fate::ToKernelGroup,
            ),
        ],
    );
}

#[test]
fn drops_neighbour_discovery_that_its_rfc_says_to_discard() {
    let ask = solicitation(REMOTE);
    let mut coded = ask.clone();
    coded[1] = 1;
    let group = "ff02::1:ff00:9";
    let atomic = fragment_header(58, 1, 0, false, &ask);
    check(
        &Bench::new(),
        vec![
            ("forwarded by a router", ipv6(GROUP6, HOST6, group, 58, 254, &ask), Fate::DropMalformed),
            ("code 1", ipv6(GROUP6, HOST6, group, 58, 255, &coded), Fate::DropMalformed),
            ("too short", ipv6(GROUP6, HOST6, group, 58, 255, &ask[..23]), Fate::DropMalformed),
            ("no type", ipv6(GROUP6, HOST6, group, 58, 255, &[]), Fate::DropMalformed),
            ("half a header", ipv6(OURS, HOST6, REMOTE, 58, 64, &[128, 0, 0]), Fate::DropMalformed),
            ("fragment header (RFC 6980)", ipv6(GROUP6, HOST6, group, 44, 255, &atomic), Fate::DropMalformed),
            ("multicast target", neighbour_solicitation(HOST6, None, "ff02::1"), Fate::DropMalformed),
        ],
    );
}
