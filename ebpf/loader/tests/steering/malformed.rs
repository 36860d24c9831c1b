//! Frames that lie, end early, or are noise: always one fate, never a frame that only looks right.

use crate::common::{Bench, action_of, at_tc, check, frames::*};
use gridway_steer::Fate;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

const HOST6: &str = "2001:db8:1::2";

/// One frame of every kind, as the seeds of what is done to them.
pub(crate) fn specimens() -> Vec<(Vec<u8>, Fate)> {
    let fragmented = fragment_header(17, 3, 0, true, &udp_segment(53));
    vec![
        (arp(BROADCAST, 1, "10.1.0.2", "172.16.2.9"), Fate::ToWorkerArpRequest),
        (arp(BROADCAST, 1, "10.1.0.2", "10.1.0.1"), Fate::ToKernelArp),
        (udp4(OURS, "10.1.0.2", "172.16.2.9", 9), Fate::ToWorkerIp),
        (tcp4(OURS, "10.1.0.2", "172.16.9.1", 443), Fate::ToKernelListener),
        (icmp4(OURS, "10.1.0.2", "10.1.0.1"), Fate::ToKernelOwnAddress),
        (udp4(OURS, "203.0.113.5", "10.1.0.1", 9), Fate::DropDenied),
        (udp4(BROADCAST, "10.1.0.254", "255.255.255.255", 68), Fate::ToKernelDhcp),
        (with_options4(&tcp4(OURS, "10.1.0.2", "172.16.9.1", 443), 10), Fate::ToKernelListener),
        (fragment4("172.16.9.1", 53, 4, 0, true), Fate::ToKernelListener),
        (udp6(OURS, HOST6, "2001:db8:9::1", 53), Fate::ToKernelListener),
        (udp6(GROUP6, HOST6, "ff02::fb", 5353), Fate::ToKernelGroup),
        (neighbour_solicitation(HOST6, None, "2001:db8:2::9"), Fate::ToWorkerNeighbourSolicitation),
        (
            ipv6(OURS, HOST6, "2001:db8:9::1", 60, 64, &extension(17, &udp_segment(53))),
            Fate::ToKernelListener,
        ),
        (ipv6(OURS, HOST6, "2001:db8:9::1", 44, 64, &fragmented), Fate::ToKernelListener),
        (tagged(&udp4(OURS, "10.1.0.2", "172.16.2.9", 9), 0x8100, 0), Fate::ToWorkerIp),
    ]
}

#[test]
fn a_frame_cut_anywhere_is_malformed() {
    let bench = Bench::new();
    for (frame, fate) in specimens() {
        let arp = frame[12..14] == [0x08, 0x06];
        // Ethernet pads: only what a length field promises must be there. The kernel runs no shorter frame.
        for length in 14..frame.len() {
            let cut = &frame[..length];
            let runs = [("XDP", Some(bench.run(cut, 0))), ("tc", bench.run_tc(cut))];
            for (hook, run) in runs {
                let Some((counted, verdict)) = run else { continue };
                assert_eq!(
                    counted,
                    [Fate::DropMalformed],
                    "{hook}, {fate:?} cut to {length} of {} (ARP: {arp})",
                    frame.len()
                );
                assert_eq!(verdict.action, action_of(Fate::DropMalformed), "{hook}");
            }
        }
        check(&bench, vec![("whole", frame.clone(), fate)]);
        let padded = [&frame[..], &[0xaa; 40]].concat();
        assert_eq!(bench.run(&padded, 0).0, [fate], "padded");
        assert_eq!(bench.run_tc(&padded).expect("it is long").0, [at_tc(fate)], "padded, tc");
    }
}

#[test]
fn drops_ip_headers_that_contradict_themselves() {
    let frame = udp4(OURS, "10.1.0.2", "172.16.2.9", 9);
    let with = |at: usize, value: u8| {
        let mut frame = frame.clone();
        frame[NETWORK + at] = value;
        frame
    };
    let mut six = udp6(OURS, HOST6, "2001:db8:2::9", 9);
    six[NETWORK] = 0x40;
    let mut long = udp6(OURS, HOST6, "2001:db8:2::9", 9);
    long[NETWORK + 5] += 1;
    let mut longest = udp6(OURS, HOST6, "2001:db8:2::9", 9);
    longest[NETWORK + 4..NETWORK + 6].fill(0xff);
    let header_only = |total: u8| {
        let mut frame = frame.clone();
        frame[NETWORK + 3] = total;
        frame
    };
    check(
        &Bench::new(),
        vec![
            ("IPv6 by IPv4's EtherType", with(0, 0x65), Fate::DropMalformed),
            ("header length 16", with(0, 0x44), Fate::DropMalformed),
            ("header length 0", with(0, 0x40), Fate::DropMalformed),
            ("header longer than the packet", with(0, 0x4f), Fate::DropMalformed),
            ("total length below the header's", header_only(19), Fate::DropMalformed),
            ("total length 0", header_only(0), Fate::DropMalformed),
            ("total length beyond the frame", header_only(200), Fate::DropMalformed),
            (
                "total length 65535",
                {
                    let mut f = frame.clone();
                    f[NETWORK + 2..NETWORK + 4].fill(0xff);
                    f
                },
                Fate::DropMalformed,
            ),
            ("UDP without ports", header_only(23), Fate::DropMalformed),
            ("UDP with ports only: the worker's to judge", header_only(24), Fate::ToWorkerIp),
            (
                "malformed by group MAC",
                {
                    let mut f = udp4(MULTICAST, "10.1.0.2", "224.0.0.5", 9);
                    f[NETWORK] = 0x44;
                    f
                },
                Fate::DropMalformed,
            ),
            ("IPv4 by IPv6's EtherType", six, Fate::DropMalformed),
            ("payload one byte beyond the frame", long, Fate::DropMalformed),
            ("payload length 65535", longest, Fate::DropMalformed),
        ],
    );
}

#[test]
fn noise_has_exactly_one_fate_and_its_verdict() {
    let bench = Bench::new();
    let specimens: Vec<Vec<u8>> = specimens().into_iter().map(|(frame, _)| frame).collect();
    let seed: u64 = rand::rng().random();
    let mut rng = StdRng::seed_from_u64(seed);
    for round in 0..10_000 {
        let frame = noise(&mut rng, &specimens);
        let queue = rng.random_range(0..2);
        let (counted, verdict) = bench.run(&frame, queue);
        let [fate] = counted[..] else { panic!("seed {seed} round {round}: {counted:?} for {frame:02x?}") };
        assert_eq!(verdict.action, action_of(fate), "seed {seed} round {round}: {fate:?} for {frame:02x?}");
        let worker = action_of(fate) == action_of(Fate::ToWorkerIp);
        assert!(queue == 0 || !worker, "seed {seed} round {round}: queue 1 has no socket");
        assert!(queue == 1 || fate != Fate::DropNoSocket, "seed {seed} round {round}: queue 0 has one");

        let fate = if fate == Fate::DropNoSocket { Fate::DropNoVnet } else { at_tc(fate) };
        if let Some((counted, verdict)) = bench.run_tc(&frame) {
            assert_eq!(counted, [fate], "seed {seed} round {round}: at the tc hook, {frame:02x?}");
            assert_eq!(verdict.action, action_of(fate), "seed {seed} round {round}: at the tc hook");
        }
    }
}

/// A specimen with some bytes changed, cut, or grown; or noise from the first byte on.
fn noise(rng: &mut StdRng, specimens: &[Vec<u8>]) -> Vec<u8> {
    if rng.random_ratio(1, 10) {
        let mut frame = vec![0; rng.random_range(14..1500)];
        rng.fill(&mut frame[..]);
        if rng.random() {
            frame[..6].copy_from_slice(&OURS);
        }
        return frame;
    }
    let mut frame = specimens.choose(rng).expect("specimens").clone();
    for _ in 0..rng.random_range(1..6) {
        // Mostly headers, whose bytes decide.
        let reach = if rng.random_ratio(3, 4) { frame.len().min(62) } else { frame.len() };
        let at = rng.random_range(0..reach);
        frame[at] = if rng.random() { rng.random() } else { frame[at] ^ (1 << rng.random_range(0..8)) };
    }
    match rng.random_range(0..4) {
        0 => frame.truncate(rng.random_range(14..=frame.len())),
        1 => frame.resize(frame.len() + rng.random_range(0..200), rng.random()),
        _ => {}
    }
    frame
}
