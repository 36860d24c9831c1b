//! Every row of the table "Steering on the data NIC", through the real program in the kernel.

use crate::common::{Bench, check, frames::*, test_run::Action};
use gridway_steer::Fate;

#[test]
fn steers_by_the_ethernet_header() {
    let lldp = [0x01, 0x80, 0xc2, 0, 0, 0x0e];
    check(
        &Bench::new(),
        vec![
            ("foreign unicast MAC", udp4(FOREIGN, "10.1.0.2", "10.1.0.1", 9), Fate::DropForeignMac),
            ("foreign unicast MAC, ARP", arp(FOREIGN, 1, "10.1.0.2", "172.16.2.9"), Fate::DropForeignMac),
            (
                "foreign unicast MAC, tagged",
                tagged(&arp(FOREIGN, 1, "10.1.0.2", "10.1.0.1"), 0x8100, 5),
                Fate::DropForeignMac,
            ),
            ("LLDP to its group", ethernet(lldp, 0x88cc, &[0; 40]), Fate::ToKernelNonIp),
            ("EAPOL to us", ethernet(OURS, 0x888e, &[0; 40]), Fate::ToKernelNonIp),
            ("802.3 length field (spanning tree)", ethernet(lldp, 38, &[0x42; 46]), Fate::ToKernelNonIp),
            ("nothing behind an unknown EtherType", ethernet(OURS, 0x88cc, &[]), Fate::ToKernelNonIp),
            ("nothing behind IPv4's EtherType", ethernet(OURS, 0x0800, &[]), Fate::DropMalformed),
            ("nothing behind IPv6's EtherType", ethernet(OURS, 0x86dd, &[]), Fate::DropMalformed),
            ("nothing behind ARP's EtherType", ethernet(BROADCAST, 0x0806, &[]), Fate::DropMalformed),
        ],
    );
}

#[test]
fn drops_vlan_ids_and_peels_priority_tags() {
    let ip = udp4(OURS, "10.1.0.2", "172.16.2.9", 9);
    let own = udp4(OURS, "10.1.0.2", "10.1.0.1", 9);
    let question = arp(BROADCAST, 1, "10.1.0.2", "172.16.2.9");
    let twice = tagged(&tagged(&ip, 0x8100, 0), 0x88a8, 0);
    let bench = Bench::new();
    check(
        &bench,
        vec![
            ("VLAN 5", tagged(&ip, 0x8100, 5), Fate::DropVlan),
            ("VLAN 4095 with priority", tagged(&ip, 0x8100, 0xffff), Fate::DropVlan),
            ("service VLAN 5", tagged(&ip, 0x88a8, 5), Fate::DropVlan),
            ("old double tagging, VLAN 5", tagged(&ip, 0x9100, 5), Fate::DropVlan),
            ("ARP in VLAN 5", tagged(&question, 0x8100, 5), Fate::DropVlan),
            (
                "group MAC in VLAN 5",
                tagged(&udp4(MULTICAST, "10.1.0.2", "224.0.0.5", 9), 0x8100, 5),
                Fate::DropVlan,
            ),
            ("VLAN 5 behind a priority tag", tagged(&tagged(&ip, 0x8100, 5), 0x8100, 0), Fate::DropVlan),
            ("three priority tags", tagged(&twice, 0x8100, 0), Fate::DropVlan),
            ("tag without contents", ethernet(OURS, 0x8100, &[]), Fate::DropMalformed),
            ("tag without EtherType", ethernet(OURS, 0x8100, &[0, 0]), Fate::DropMalformed),
            ("priority tag, own address", tagged(&own, 0x8100, 0xe000), Fate::ToKernelOwnAddress),
            ("priority tag, any other IP", tagged(&ip, 0x8100, 0xe000), Fate::ToWorkerIp),
            ("two priority tags, any other IP", twice.clone(), Fate::ToWorkerIp),
            ("priority tag, ARP for us to answer", tagged(&question, 0x8100, 0), Fate::ToWorkerArpRequest),
        ],
    );
    for (description, frame) in [("one tag", tagged(&ip, 0x8100, 0xe000)), ("two tags", twice)] {
        assert_eq!(bench.run(&frame, 0).1.frame, ip, "{description}: a worker sees none");
    }
}

#[test]
fn answers_arp_for_proxied_addresses_only() {
    let mut token_ring = arp(BROADCAST, 1, "10.1.0.2", "172.16.2.9");
    token_ring[NETWORK + 1] = 6;
    let mut long_addresses = arp(BROADCAST, 1, "10.1.0.2", "172.16.2.9");
    long_addresses[NETWORK + 5] = 16;
    check(
        &Bench::new(),
        vec![
            (
                "request for a proxied address",
                arp(BROADCAST, 1, "10.1.0.2", "172.16.2.9"),
                Fate::ToWorkerArpRequest,
            ),
            ("the same to our MAC", arp(OURS, 1, "10.1.0.2", "172.16.2.9"), Fate::ToWorkerArpRequest),
            ("first of the prefix", arp(BROADCAST, 1, "10.1.0.2", "172.16.2.0"), Fate::ToWorkerArpRequest),
            ("last of the prefix", arp(BROADCAST, 1, "10.1.0.2", "172.16.2.255"), Fate::ToWorkerArpRequest),
            ("one beyond the prefix", arp(BROADCAST, 1, "10.1.0.2", "172.16.3.0"), Fate::ToKernelArp),
            (
                "denied sender: the link is not filtered",
                arp(BROADCAST, 1, "203.0.113.5", "172.16.2.9"),
                Fate::ToWorkerArpRequest,
            ),
            ("request for an own address", arp(BROADCAST, 1, "10.1.0.2", "10.1.0.1"), Fate::ToKernelArp),
            ("request for another address", arp(BROADCAST, 1, "10.1.0.2", "10.1.0.3"), Fate::ToKernelArp),
            ("probe (RFC 5227)", arp(BROADCAST, 1, "0.0.0.0", "172.16.2.9"), Fate::ToKernelArp),
            ("gratuitous request", arp(BROADCAST, 1, "172.16.2.9", "172.16.2.9"), Fate::ToKernelArp),
            ("reply", arp(OURS, 2, "172.16.2.9", "172.16.2.9"), Fate::ToKernelArp),
            ("reply about a proxied address", arp(OURS, 2, "10.1.0.2", "172.16.2.9"), Fate::ToKernelArp),
            ("operation 0", arp(OURS, 0, "10.1.0.2", "172.16.2.9"), Fate::ToKernelArp),
            ("another hardware type", token_ring, Fate::ToKernelArp),
            ("another protocol address length", long_addresses, Fate::ToKernelArp),
        ],
    );
}

#[test]
fn never_answers_arp_for_an_own_address_inside_a_proxied_prefix() {
    let mut bench = Bench::new();
    bench.steer.set_own_addresses(&[crate::common::address("172.16.2.1")]).expect("own");
    check(
        &bench,
        vec![
            ("own address", arp(BROADCAST, 1, "10.1.0.2", "172.16.2.1"), Fate::ToKernelArp),
            ("its neighbour", arp(BROADCAST, 1, "10.1.0.2", "172.16.2.2"), Fate::ToWorkerArpRequest),
        ],
    );
}

#[test]
fn steers_ipv4_by_destination() {
    check(
        &Bench::new(),
        vec![
            ("own address", icmp4(OURS, "10.1.0.2", "10.1.0.1"), Fate::ToKernelOwnAddress),
            (
                "own address by broadcast MAC",
                icmp4(BROADCAST, "10.1.0.2", "10.1.0.1"),
                Fate::ToKernelOwnAddress,
            ),
            (
                "directed broadcast, known as own",
                udp4(BROADCAST, "10.1.0.2", "10.1.0.255", 9),
                Fate::ToKernelOwnAddress,
            ),
            ("any other IP: UDP", udp4(OURS, "10.1.0.2", "172.16.2.9", 53), Fate::ToWorkerIp),
            ("any other IP: TCP", tcp4(OURS, "10.1.0.2", "192.0.2.1", 8443), Fate::ToWorkerIp),
            ("any other IP: ICMP", icmp4(OURS, "10.1.0.2", "192.0.2.1"), Fate::ToWorkerIp),
            ("any other IP: loopback", icmp4(OURS, "10.1.0.2", "127.0.0.1"), Fate::ToWorkerIp),
            ("listener", tcp4(OURS, "10.1.0.2", "172.16.9.1", 443), Fate::ToKernelListener),
            ("listener, UDP", udp4(OURS, "10.1.0.2", "172.16.9.1", 53), Fate::ToKernelListener),
            ("listener's port, other protocol", udp4(OURS, "10.1.0.2", "172.16.9.1", 443), Fate::ToWorkerIp),
            ("listener's address, other port", tcp4(OURS, "10.1.0.2", "172.16.9.1", 444), Fate::ToWorkerIp),
            ("listener's port, other address", tcp4(OURS, "10.1.0.2", "172.16.9.2", 443), Fate::ToWorkerIp),
            ("listener's address, ICMP", icmp4(OURS, "10.1.0.2", "172.16.9.1"), Fate::ToWorkerIp),
            (
                "listener behind options",
                with_options4(&tcp4(OURS, "10.1.0.2", "172.16.9.1", 443), 10),
                Fate::ToKernelListener,
            ),
            (
                "other port behind options",
                with_options4(&tcp4(OURS, "10.1.0.2", "172.16.9.1", 444), 1),
                Fate::ToWorkerIp,
            ),
            (
                "DHCP offer to an address to come",
                udp4(OURS, "10.1.0.254", "10.1.0.77", 68),
                Fate::ToKernelDhcp,
            ),
            (
                "DHCP offer, broadcast",
                udp4(BROADCAST, "10.1.0.254", "255.255.255.255", 68),
                Fate::ToKernelDhcp,
            ),
            ("TCP to port 68", tcp4(OURS, "10.1.0.254", "10.1.0.77", 68), Fate::ToWorkerIp),
            ("multicast", udp4(MULTICAST, "10.1.0.2", "224.0.0.5", 9), Fate::ToKernelGroup),
            (
                "multicast by unicast MAC",
                udp4(OURS, "10.1.0.2", "239.255.255.250", 1900),
                Fate::ToKernelGroup,
            ),
            ("limited broadcast", udp4(BROADCAST, "10.1.0.2", "255.255.255.255", 67), Fate::ToKernelGroup),
            (
                "limited broadcast by unicast MAC",
                udp4(OURS, "10.1.0.2", "255.255.255.255", 67),
                Fate::ToKernelGroup,
            ),
            ("unicast by broadcast MAC", udp4(BROADCAST, "10.1.0.2", "192.0.2.1", 9), Fate::DropGroupUnicast),
            (
                "unicast by multicast MAC",
                tcp4(MULTICAST, "10.1.0.2", "172.16.2.9", 9),
                Fate::DropGroupUnicast,
            ),
            ("just below multicast", udp4(OURS, "10.1.0.2", "223.255.255.255", 9), Fate::ToWorkerIp),
            ("just above multicast", udp4(OURS, "10.1.0.2", "240.0.0.0", 9), Fate::ToWorkerIp),
        ],
    );
}

#[test]
fn deny_list_precedes_every_kernel_row_of_ip() {
    let bad6 = "2001:db8:bad::7";
    check(
        &Bench::new(),
        vec![
            ("to a worker", udp4(OURS, "203.0.113.5", "172.16.2.9", 9), Fate::DropDenied),
            ("to an own address", icmp4(OURS, "203.0.113.5", "10.1.0.1"), Fate::DropDenied),
            ("to a listener", tcp4(OURS, "203.0.113.255", "172.16.9.1", 443), Fate::DropDenied),
            ("to port 68", udp4(OURS, "203.0.113.0", "10.1.0.77", 68), Fate::DropDenied),
            ("to a group", udp4(MULTICAST, "203.0.113.5", "224.0.0.5", 9), Fate::DropDenied),
            ("one beyond the prefix", udp4(OURS, "203.0.114.0", "172.16.2.9", 9), Fate::ToWorkerIp),
            ("IPv6 to a worker", udp6(OURS, bad6, "2001:db8:2::9", 9), Fate::DropDenied),
            ("IPv6 to an own address", udp6(OURS, bad6, "2001:db8:1::1", 9), Fate::DropDenied),
            ("IPv6 to a group", udp6(MULTICAST, bad6, "ff02::1", 9), Fate::DropDenied),
            (
                "neighbour discovery is not filtered",
                neighbour_solicitation(bad6, None, "2001:db8:1::1"),
                Fate::ToKernelNeighbourDiscovery,
            ),
            ("IPv4 is not inside ::/96", udp4(OURS, "10.1.0.2", "172.16.2.9", 9), Fate::ToWorkerIp),
        ],
    );
}

#[test]
fn denying_all_ipv6_leaves_ipv4_alone() {
    let mut bench = Bench::new();
    bench.steer.set_deny(&[crate::common::net("::/0")]).expect("deny");
    check(
        &bench,
        vec![
            ("IPv4", udp4(OURS, "10.1.0.2", "172.16.2.9", 9), Fate::ToWorkerIp),
            ("IPv6", udp6(OURS, "2001:db8:1::2", "2001:db8:2::9", 9), Fate::DropDenied),
        ],
    );
    bench.steer.set_deny(&[crate::common::net("0.0.0.0/0")]).expect("deny");
    check(
        &bench,
        vec![
            ("IPv4", udp4(OURS, "10.1.0.2", "172.16.2.9", 9), Fate::DropDenied),
            ("IPv6", udp6(OURS, "2001:db8:1::2", "2001:db8:2::9", 9), Fate::ToWorkerIp),
        ],
    );
}

#[test]
fn a_queue_without_a_socket_drops_what_is_for_a_worker() {
    let bench = Bench::new();
    for frame in [
        udp4(OURS, "10.1.0.2", "172.16.2.9", 9),
        udp6(OURS, "2001:db8:1::2", "2001:db8:2::9", 9),
        arp(BROADCAST, 1, "10.1.0.2", "172.16.2.9"),
        neighbour_solicitation("2001:db8:1::2", None, "2001:db8:2::9"),
    ] {
        let (counted, verdict) = bench.run(&frame, 1);
        assert_eq!((counted.as_slice(), verdict.action), (&[Fate::DropNoSocket][..], Action::Drop));
    }
    let (counted, verdict) = bench.run(&icmp4(OURS, "10.1.0.2", "10.1.0.1"), 1);
    assert_eq!((counted.as_slice(), verdict.action), (&[Fate::ToKernelOwnAddress][..], Action::Pass));
}

#[test]
fn fragments_follow_their_first_fragment() {
    let bench = Bench::new();
    let listened = |id, offset, more| fragment4("172.16.9.1", 53, id, offset, more);
    let other = |id, offset, more| fragment4("172.16.9.1", 54, id, offset, more);
    check(
        &bench,
        vec![
            ("a later one that overtakes", listened(7, 2, true), Fate::ToWorkerIp),
            ("first, to a listener", listened(7, 0, true), Fate::ToKernelListener),
            ("second", listened(7, 2, true), Fate::ToKernelListener),
            ("last", listened(7, 4, false), Fate::ToKernelListener),
            ("another datagram's", listened(8, 2, true), Fate::ToWorkerIp),
            ("first of another port with the same identification", other(7, 0, true), Fate::ToWorkerIp),
            ("its second", other(7, 2, false), Fate::ToWorkerIp),
            ("own address, first", fragment4("10.1.0.1", 9, 9, 0, true), Fate::ToKernelOwnAddress),
            ("own address, later", fragment4("10.1.0.1", 9, 9, 2, false), Fate::ToKernelOwnAddress),
        ],
    );
}
