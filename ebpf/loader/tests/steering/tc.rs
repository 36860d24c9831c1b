//! What is peculiar to the tc hook: coming and going beside XDP, tags that the kernel took off, frames in pieces,
//! segments that it joined.

use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use gridway_steer::{Attach, AttachedMode, Fate};

use crate::common::{
    DENIED, LISTENERS, OWN, PROXIED, Program, address, at_tc, attach_tc,
    frames::{NETWORK, OURS, extension, ipv6, tagged, tcp4, udp_segment},
    listener, net,
    netns::{DATA, data_link, sh, silent_veth, veth_to_host, wait_until},
    tap::{Layout, MIN_SPLIT, Tap},
};
use crate::malformed::specimens;

/// Programs at the ingress of tc, by number.
fn tc_programs() -> Vec<u32> {
    let (_, programs) =
        SchedClassifier::query_tcx(DATA, TcAttachType::Ingress).expect("the kernel lists them");
    programs.iter().map(ProgramInfo::id).collect()
}

fn own_addresses_at_tc() -> Program {
    let mut steer = attach_tc().expect("attach");
    steer.set_own_addresses(&OWN.map(address)).expect("own addresses");
    steer
}

#[test]
fn goes_with_its_owner() {
    silent_veth();
    let steer = attach_tc().expect("attach");
    assert_eq!(steer.hooks.mode(), Some(AttachedMode::Tc));
    assert!(!data_link().contains("xdp"), "{}", data_link());
    assert_eq!(tc_programs().len(), 1);
    drop(steer);
    wait_until("the program goes with its owner", || tc_programs().is_empty());
}

#[test]
fn moves_to_xdp_and_back_without_an_instant_between() {
    const MOVES: usize = 50;
    let host = veth_to_host();
    // An address of the machine that only the program keeps the host from.
    sh(
        "ip link add wan0 type veth peer name wan1 && ip link set wan0 up && ip addr add 198.51.100.1/24 dev wan0",
    );
    host.sh("ip route add 198.51.100.1 dev host0");
    host.sh("ip neigh add 198.51.100.1 lladdr 02:00:00:00:00:01 nud permanent dev host0");
    host.sh("ping -c 1 -W 2 198.51.100.1");
    let mut steer = own_addresses_at_tc();
    let knocking = host.start("ping -q -i 0.002 -c 100000 198.51.100.1");
    for _ in 0..MOVES {
        steer.hooks.attach_xdp(Attach::Native).expect("attach");
        assert!(steer.hooks.is_at_both());
        assert_eq!(steer.hooks.mode(), Some(AttachedMode::Native));
        assert!(data_link().contains(" xdp "), "{}", data_link());
        host.sh("ping -c 1 -W 2 10.1.0.1");
        steer.hooks.detach_tc();
        wait_until("it left the tc hook", || tc_programs().is_empty());
        host.sh("ping -c 1 -W 2 10.1.0.1");

        steer.hooks.attach_tc().expect("attach");
        steer.hooks.detach_xdp();
        assert_eq!(steer.hooks.mode(), Some(AttachedMode::Tc));
        assert!(!data_link().contains("xdp"), "{}", data_link());
        host.sh("ping -c 1 -W 2 10.1.0.1");
    }
    let said = knocking.interrupt();
    let counters = steer.counters().expect("counters");
    let turned_away = counters.get(Fate::DropNoVnet) + counters.get(Fate::DropNoSocket);
    assert!(turned_away > 2 * MOVES as u64, "{counters:?}");
    assert!(said.contains(" 0 received"), "{said}");
}

#[test]
fn stays_when_xdp_is_refused() {
    silent_veth();
    sh("ip link set host0 mtu 9000");
    let mut steer = attach_tc().expect("attach");
    steer.hooks.attach_xdp(Attach::Native).expect_err("native mode is refused");
    assert_eq!(steer.hooks.mode(), Some(AttachedMode::Tc));
    assert_eq!(tc_programs().len(), 1);
}

#[test]
fn two_of_it_judge_one_after_the_other_the_newer_first() {
    let host = veth_to_host();
    let theirs = own_addresses_at_tc();
    let mut ours = attach_tc().expect("attach beside it");
    host.try_sh("ping -c 1 -W 0.3 10.1.0.1");
    let counters = [&ours, &theirs].map(|steer| steer.counters().expect("counters"));
    assert!(counters[0].get(Fate::DropNoVnet) >= 1, "ours knows no address yet: {counters:?}");
    assert!(
        counters[1].get(Fate::ToKernelOwnAddress) == 0,
        "what ours drops does not reach theirs: {counters:?}"
    );
    ours.set_own_addresses(&OWN.map(address)).expect("own addresses");
    host.sh("ping -c 1 -W 2 10.1.0.1");
    let reached = theirs.counters().expect("counters").get(Fate::ToKernelOwnAddress);
    assert!(reached >= 1, "what ours gives to the kernel goes past theirs");
}

#[test]
fn counts_what_a_real_host_sends() {
    let host = veth_to_host();
    let mut steer = own_addresses_at_tc();
    steer.set_proxied(&["10.1.0.128/25".parse().expect("a prefix")]).expect("proxied");
    host.sh("ping -c 3 -i 0.1 -W 2 10.1.0.1");
    host.sh("ping -c 3 -i 0.1 -W 2 -s 4000 2001:db8:1::1");
    assert!(!host.try_sh("ping -c 2 -i 0.1 -W 0.2 198.51.100.9").status.success());
    let before = steer.counters().expect("counters");
    assert!(before.get(Fate::ToKernelArp) >= 1, "{before:?}");
    assert!(before.get(Fate::ToKernelNeighbourDiscovery) >= 1, "{before:?}");
    assert!(before.get(Fate::ToKernelOwnAddress) >= 12, "{before:?}");
    assert_eq!(before.get(Fate::DropNoVnet), 2, "{before:?}");
    assert!(!host.try_sh("ping -c 1 -W 0.2 10.1.0.200").status.success());
    assert!(steer.counters().expect("counters").get(Fate::DropNoVnet) > 2, "the proxied ARP");
}

/// A tap in place of the veth pair, and the program with the sets of the tables of cases.
fn tap() -> (Tap, Program) {
    silent_veth();
    sh("ip link del data0");
    let tap = Tap::new();
    let mut steer = own_addresses_at_tc();
    steer.set_proxied(&PROXIED.map(net)).expect("proxied prefixes");
    steer.set_deny(&DENIED.map(net)).expect("deny list");
    steer.set_listeners(&LISTENERS.map(listener)).expect("listeners");
    (tap, steer)
}

/// The fate of a frame that arrives by the tap.
fn fate(tap: &mut Tap, steer: &Program, frame: &[u8], layout: Layout) -> Fate {
    let before = steer.counters().expect("counters");
    tap.receive(frame, layout);
    let mut seen = None;
    wait_until("the frame is judged", || {
        let after = steer.counters().expect("counters");
        let mut pairs = after.iter().zip(before.iter());
        seen = pairs.find(|((_, after), (_, before))| after > before).map(|((fate, _), _)| fate);
        seen.is_some()
    });
    seen.expect("as waited for")
}

#[test]
fn sees_the_tag_that_the_kernel_took_off() {
    let (mut tap, steer) = tap();
    let frame = tcp4(OURS, "10.1.0.2", "10.1.0.1", 9);
    let other = tcp4(OURS, "10.1.0.2", "172.16.2.9", 9);
    let cases = [
        ("VLAN 5", tagged(&frame, 0x8100, 5), Fate::DropVlan),
        ("service VLAN 5", tagged(&frame, 0x88a8, 5), Fate::DropVlan),
        ("VLAN 5 behind a priority tag", tagged(&tagged(&frame, 0x8100, 5), 0x8100, 0), Fate::DropVlan),
        ("priority tag", tagged(&frame, 0x8100, 0xe000), Fate::ToKernelOwnAddress),
        ("priority tag, for a worker", tagged(&other, 0x8100, 0xe000), Fate::DropNoVnet),
        ("two", tagged(&tagged(&frame, 0x8100, 0), 0x88a8, 0), Fate::ToKernelOwnAddress),
        ("three", tagged(&tagged(&tagged(&frame, 0x8100, 0), 0x8100, 0), 0x88a8, 0), Fate::DropVlan),
    ];
    for (description, frame, expected) in cases {
        assert_eq!(fate(&mut tap, &steer, &frame, Layout::default()), expected, "{description}");
    }
}

#[test]
fn judges_frames_that_are_cut_as_at_the_xdp_hook() {
    let (mut tap, steer) = tap();
    for (frame, whole) in specimens() {
        // A tag with less than two bytes behind it the kernel drops itself.
        let shortest = if frame[12..14] == [0x81, 0] { 20 } else { 14 };
        for length in shortest..frame.len() {
            let cut = fate(&mut tap, &steer, &frame[..length], Layout::default());
            assert_eq!(cut, Fate::DropMalformed, "{whole:?} cut to {length} of {}", frame.len());
        }
        assert_eq!(fate(&mut tap, &steer, &frame, Layout::default()), at_tc(whole));
    }
}

/// IPv6 whose ports are far behind: extension headers, and the first of them alone in the linear part.
#[test]
fn reads_headers_outside_of_the_linear_part() {
    let (mut tap, steer) = tap();
    let far = |to: &str, next: u8| {
        let mut payload = udp_segment(53);
        payload.resize(MIN_SPLIT, 0);
        ipv6(OURS, "2001:db8:1::2", to, 60, 64, &extension(next, &payload))
    };
    let cases = [
        (far("2001:db8:1::1", 17), Fate::ToKernelOwnAddress),
        (far("2001:db8:7::1", 17), Fate::DropNoVnet),
        (far("2001:db8:1::1", 0), Fate::DropMalformed),
    ];
    for (frame, expected) in cases {
        for linear in [14, 20, 54, 60, 70, 1000] {
            let layout = Layout { linear, segment: None };
            assert_eq!(fate(&mut tap, &steer, &frame, layout), expected, "{linear} bytes are linear");
        }
    }
}

/// BIG TCP (`ip link set gso_ipv4_max_size` above 64 KiB): the kernel joins more than a length field can say.
#[test]
fn a_length_of_zero_is_right_for_joined_segments_only() {
    let (mut tap, steer) = tap();
    let mut frame = tcp4(OURS, "10.1.0.2", "10.1.0.1", 9);
    frame[NETWORK + 2..NETWORK + 4].fill(0);
    frame.resize(70_000, 0);
    for (segment, expected) in [(Some(1448), Fate::ToKernelOwnAddress), (None, Fate::DropMalformed)] {
        let layout = Layout { linear: 54, segment };
        assert_eq!(fate(&mut tap, &steer, &frame, layout), expected, "{segment:?}");
    }
}
