//! Frames that no well-behaved host sends.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use gridway_e2e::{Pair, in_both_layouts};
use gridway_lab::gateway::vnets;
use gridway_lab::{HOST_INTERFACE, Ping, RawSender, Side};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const FRAMES: usize = 10_000;

/// An ICMP echo request from h1 to what it knows as h2, to be mutated.
fn template(source: [u8; 6], destination: [u8; 6]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&destination);
    frame.extend_from_slice(&source);
    frame.extend_from_slice(&[0x08, 0x00]);
    frame.extend_from_slice(&[0x45, 0, 0, 60, 0x12, 0x34, 0, 0, 64, 1, 0, 0]);
    frame.extend_from_slice(&Side::A.host(0).octets());
    frame.extend_from_slice(&vnets::outside_host(Side::B, 0).octets());
    let sum = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend_from_slice(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
    frame.resize(14 + 60, 0);
    frame
}

fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

in_both_layouts! {
    fn ten_thousand_mutated_frames_are_counted_and_survived(layout) {
        let pair = Pair::corp(layout);
        let sender = RawSender::open(pair.lab.h1(), HOST_INTERFACE).unwrap();
        let gateway = gateway_mac(&pair).unwrap();
        let template = template(sender.mac(), gateway);
        let before = pair.a.counters().unwrap();
        // Seeded, so that a failure can be repeated.
        let mut random = StdRng::seed_from_u64(8_443);
        for _ in 0..FRAMES {
            let mut frame = template.clone();
            for _ in 0..random.random_range(1..6) {
                // Mostly behind the addresses, so that most frames get as far as the worker.
                let at = if random.random_bool(0.9) { random.random_range(12..frame.len()) } else { 0 };
                frame[at] = random.random();
            }
            let len = if random.random_bool(0.3) { random.random_range(14..frame.len()) } else { frame.len() };
            sender.send(&frame[..len]).unwrap();
        }
        let report = Ping::new(vnets::outside_host(Side::B, 0)).count(10);
        let report = report.run(pair.lab.h1()).unwrap();
        assert!(report.all_answered(), "forwarding goes on: {report:?}");
        let after = gridway_lab::gateway::check_books(&pair.a, gridway_e2e::LIMIT).unwrap();
        let received = after.outbound.rx_packets - before.outbound.rx_packets;
        assert!(received >= FRAMES as u64, "{received} of {FRAMES} reached the node");
        let kinds = after.drops.values().filter(|count| **count > 0).count();
        assert!(kinds >= 5, "only {kinds} kinds of drops: {:?}", after.drops);
        pair.finish();
    }
}

/// MAC address of gw-a's data NIC.
fn gateway_mac(pair: &Pair) -> std::io::Result<[u8; 6]> {
    let output = pair.lab.gwa().ip("-br link show data0").map_err(std::io::Error::other)?;
    let mac = output.stdout.split_whitespace().nth(2).unwrap_or_default().to_owned();
    let bytes: Vec<u8> = mac.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes.try_into().map_err(|_| std::io::Error::other(format!("not a MAC address: {mac}")))
}
