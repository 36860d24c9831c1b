//! Packets: parsed, translated there and back, answered, marked; errors made, read and translated. etherparse
//! judges checksums.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gridway_wire::arp::ArpRequest;
use gridway_wire::checksum::Sum;
use gridway_wire::ecn::set_ecn_ce;
use gridway_wire::generate::judge;
use gridway_wire::icmp::{IcmpError, build_error, echo_reply_in_place, quoted, rewrite_error};
use gridway_wire::mac::MacAddr;
use gridway_wire::ndp::NeighbourSolicitation;
use gridway_wire::packet::{Fragment, IpVersion, Packet, Transport, parse};
use gridway_wire::rewrite::{Rewrite, rewrite};
use gridway_wire::tuple::FiveTuple;

/// Bytes in front of the packet that say what is done with it.
const CONTROL_LEN: usize = 40;
const OUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// One input: [`CONTROL_LEN`] bytes of control, then a packet.
///
/// # Panics
/// When a property does not hold.
pub fn run(data: &[u8]) {
    neighbours(data);
    let Some((control, bytes)) = data.split_first_chunk::<CONTROL_LEN>() else { return };
    let mut bytes = bytes.to_vec();
    if control[0] & 1 == 0 {
        repair_ipv4_header(&mut bytes);
    }
    let Ok(packet) = parse(&bytes) else { return };
    assert!(packet.l4_offset <= packet.total_len && packet.total_len <= bytes.len());
    bytes.truncate(packet.total_len);
    assert_eq!(parse(&bytes), Ok(packet), "padding changes nothing");
    let outer = change(control, 1, packet.version);
    translate(&bytes, &packet, &outer);
    translate_error(&bytes, &packet, &outer, &change(control, 20, packet.version));
    change_in_place(&bytes, &packet);
    make_error(&bytes, &packet, control[0]);
}

/// Random bytes rarely have the right IPv4 header checksum.
fn repair_ipv4_header(bytes: &mut [u8]) {
    let Some(first) = bytes.first() else { return };
    let length = usize::from(first & 0xf) * 4;
    if first >> 4 == 4 && (20..=bytes.len()).contains(&length) {
        bytes[10..12].fill(0);
        let checksum = Sum::ZERO.bytes(&bytes[..length]).checksum();
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// A change from the 19 bytes of `control` at `at`.
fn change(control: &[u8; CONTROL_LEN], at: usize, version: IpVersion) -> Rewrite {
    let which = control[at];
    let word = |offset: usize| u16::from_be_bytes([control[at + offset], control[at + offset + 1]]);
    let address = |offset: usize| match version {
        IpVersion::V4 => {
            IpAddr::V4(Ipv4Addr::from_bits(u32::from(word(offset)) << 16 | u32::from(word(offset + 2))))
        }
        IpVersion::V6 => {
            let [a, b, c] = [word(offset), word(offset + 2), word(offset + 4)];
            IpAddr::V6(Ipv6Addr::new(a, b, 0, 0xffff, c, 0, b, a))
        }
    };
    Rewrite {
        source: (which & 1 != 0).then(|| address(1)),
        destination: (which & 2 != 0).then(|| address(7)),
        source_port: (which & 4 != 0).then(|| word(13)),
        destination_port: (which & 8 != 0).then(|| word(15)),
        decrement_ttl: false,
    }
}

fn inverse(tuple: &FiveTuple, change: &Rewrite) -> Rewrite {
    Rewrite {
        source: change.source.map(|_| tuple.source),
        destination: change.destination.map(|_| tuple.destination),
        source_port: change.source_port.map(|_| tuple.source_port),
        destination_port: change.destination_port.map(|_| tuple.destination_port),
        decrement_ttl: false,
    }
}

/// Equal, but that a checksum may come back as the other zero of one's complement where it was wrong before.
fn assert_same(found: &[u8], wanted: &[u8], right: bool) {
    assert_eq!(found.len(), wanted.len());
    if right {
        assert_eq!(found, wanted);
    }
    for (found, wanted) in found.chunks(2).zip(wanted.chunks(2)) {
        let zeros = [[0, 0], [0xff, 0xff]];
        assert!(found == wanted || [found, wanted].iter().all(|word| zeros.iter().any(|zero| zero == *word)));
    }
}

/// Whether etherparse computes the checksums that the packet has. Of fragments and of other protocols it computes
/// none.
fn is_right(bytes: &[u8], packet: &Packet) -> bool {
    packet.fragment == Fragment::None && packet.transport != Transport::Other && judge(bytes).is_ok()
}

fn translate(original: &[u8], packet: &Packet, change: &Rewrite) {
    let right = is_right(original, packet);
    let mut bytes = original.to_vec();
    rewrite(&mut bytes, packet, change).expect("families agree");
    if right {
        judge(&bytes).expect("right stays right");
    }
    rewrite(&mut bytes, packet, &inverse(&packet.tuple, change)).expect("families agree");
    assert_same(&bytes, original, right);

    rewrite(&mut bytes, packet, &Rewrite { decrement_ttl: true, ..*change }).expect("families agree");
    if let Ok(after) = parse(&bytes) {
        assert_eq!(after.ttl, packet.ttl.saturating_sub(1));
        assert_eq!(after.tuple.source, change.source.unwrap_or(packet.tuple.source));
        assert_eq!(after.tuple.destination, change.destination.unwrap_or(packet.tuple.destination));
        assert_eq!((after.transport, after.fragment), (packet.transport, packet.fragment));
    }
}

fn translate_error(original: &[u8], packet: &Packet, outer: &Rewrite, inner: &Rewrite) {
    let Some(quote) = quoted(original, packet) else { return };
    assert!(quote.ip_offset < quote.l4_offset && quote.l4_offset <= quote.end && quote.end <= original.len());
    let right = is_right(original, packet);
    let mut bytes = original.to_vec();
    rewrite_error(&mut bytes, packet, &quote, outer, inner).expect("families agree");
    if right {
        judge(&bytes).expect("right stays right");
    }
    let again = quoted(&bytes, packet).expect("the quote is still there");
    assert_eq!(again.tuple.source, inner.source.unwrap_or(quote.tuple.source));
    let (outer, inner) = (inverse(&packet.tuple, outer), inverse(&quote.tuple, inner));
    rewrite_error(&mut bytes, packet, &quote, &outer, &inner).expect("families agree");
    // What is quoted may be wrong in an error that is right.
    assert_same(&bytes, original, false);
}

fn change_in_place(original: &[u8], packet: &Packet) {
    let right = is_right(original, packet);
    for change in [set_ecn_ce, echo_reply_in_place] {
        let mut bytes = original.to_vec();
        if !change(&mut bytes, packet) {
            assert_eq!(bytes, original);
        } else if right {
            judge(&bytes).expect("right stays right");
        }
    }
}

fn make_error(original: &[u8], packet: &Packet, control: u8) {
    let source: IpAddr = match packet.version {
        IpVersion::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpVersion::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    let kind = match control >> 6 {
        0 => IcmpError::TimeExceeded,
        1 => IcmpError::FragmentationNeeded { mtu: 1400 },
        2 => IcmpError::HostUnknown,
        _ => IcmpError::AdminProhibited,
    };
    let mut out = [0x77; 1280];
    if let Some(length) = build_error(original, packet, kind, source, &mut out) {
        let error = parse(&out[..length]).expect("an error is a packet");
        assert_eq!(error.total_len, length);
        assert_eq!((error.tuple.source, error.tuple.destination), (source, packet.tuple.source));
        judge(&out[..length]).expect("an error has the right checksums");
        if let Some(quote) = quoted(&out[..length], &error) {
            assert_eq!(quote.tuple, packet.tuple);
        }
        assert_eq!(build_error(&out[..length], &error, kind, source, &mut [0; 1280]), None);
    }
}

fn neighbours(frame: &[u8]) {
    if let Ok(request) = ArpRequest::parse(frame) {
        request.answer_in_place(&mut frame.to_vec(), OUR_MAC).expect("the frame holds a request");
    }
    if let Ok(solicitation) = NeighbourSolicitation::parse(frame) {
        let mut buffer = frame.to_vec();
        buffer.resize(buffer.len().max(128), 0);
        let answer = solicitation.answer_in_place(&mut buffer, OUR_MAC);
        assert_eq!(answer.is_err(), solicitation.is_probe());
        if let Ok(length) = answer {
            judge(&buffer[14..length]).expect("an advertisement has the right checksum");
        }
    }
}
