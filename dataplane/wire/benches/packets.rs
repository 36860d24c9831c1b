//! Reading a packet, and translating it with its checksums.

use std::net::IpAddr;
use std::process::ExitCode;

use gridway_micro::Functions;
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::packet::parse;
use gridway_wire::rewrite::{Rewrite, rewrite};

/// Length of the packets, in bytes.
const LENGTH: usize = 64;
const UDP_HEADER_LEN: usize = 8;

/// A UDP packet between two hosts, and what NAT on both sides of a node makes of it.
struct Case {
    parse: &'static str,
    translate: &'static str,
    ip_header_len: usize,
    hosts: [&'static str; 2],
    translated: [&'static str; 2],
}

const CASES: [Case; 2] = [
    Case {
        parse: "parse IPv4, of bytes",
        translate: "translate IPv4, of bytes",
        ip_header_len: 20,
        hosts: ["10.1.0.1", "172.16.2.1"],
        translated: ["10.200.1.1", "10.200.2.1"],
    },
    Case {
        parse: "parse IPv6, of bytes",
        translate: "translate IPv6, of bytes",
        ip_header_len: 40,
        hosts: ["fd00:1::1", "fd00:2::1"],
        translated: ["fd00:200:1::1", "fd00:200:2::1"],
    },
];

impl Case {
    fn packet(&self) -> [u8; LENGTH] {
        let [source, destination] = addresses(self.hosts);
        let spec = PacketSpec {
            source,
            destination,
            ttl: 64,
            class: 0,
            extras: 0,
            content: Content::Udp { ports: (40_000, 53), checksum: true },
            payload: vec![0x5a; LENGTH - self.ip_header_len - UDP_HEADER_LEN],
        };
        spec.to_bytes().try_into().expect("the payload fills the packet")
    }

    fn change(&self) -> Rewrite {
        let [source, destination] = addresses(self.translated).map(Some);
        Rewrite { source, destination, decrement_ttl: true, ..Rewrite::default() }
    }
}

fn addresses(texts: [&str; 2]) -> [IpAddr; 2] {
    texts.map(|text| text.parse().expect("an address"))
}

fn main() -> ExitCode {
    let mut functions = Functions::from_arguments();
    for case in &CASES {
        let packet = || std::hint::black_box(case.packet());
        functions.add(case.parse, LENGTH, packet, |packet| parse(std::hint::black_box(&packet[..])));
        // The packet is copied first: translated again and again its TTL would reach 0.
        let set_up = || {
            let packet = case.packet();
            (packet, parse(&packet).expect("a proper packet"), case.change())
        };
        functions.add(case.translate, LENGTH, set_up, |(original, packet, change)| {
            let mut bytes = *original;
            let rewritten = rewrite(&mut bytes, packet, change);
            (bytes, rewritten)
        });
    }
    functions.finish()
}
