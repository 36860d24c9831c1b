use gridway_model::alike::alike;
use gridway_model::packet::SYN;
use gridway_model::packet::build::with_checksum;
use gridway_model::{Fate, Origin, Packet};

use crate::support::{ALLOW, Node, ip, ping, read, segment, udp, usual};

/// An error of the model, and what it says of it.
fn an_error() -> (Origin, Packet) {
    let step = Node::new(&usual()).out(&udp("10.1.0.2", "172.19.0.1", (1, 2)));
    (step.emitted[0].origin.clone(), read(&step.emitted[0].bytes))
}

/// What differs after `change`; its checksum is made right again.
fn difference(origin: &Origin, packet: &Packet, change: impl Fn(&mut Packet)) -> Option<&'static str> {
    let mut other = packet.clone();
    change(&mut other);
    let other = with_checksum(other);
    alike(origin, &packet.to_bytes(), &other.to_bytes()).err().map(|difference| difference.what)
}

#[test]
fn what_is_forwarded_is_equal_to_the_byte() {
    let packet = udp("10.1.0.2", "172.16.1.2", (1, 2));
    assert_eq!(difference(&Origin::Forwarded, &packet, |_| {}), None);
    assert_eq!(difference(&Origin::Forwarded, &packet, |other| other.ttl -= 1), Some("forwarded bytes"));
}

#[test]
fn errors_may_differ_where_nothing_is_said() {
    let (origin, error) = an_error();
    assert_eq!(difference(&origin, &error, |other| (other.ttl, other.class) = (255, 0)), None);
    // The quote is 30 bytes of a packet with a header of 20: 28 must be there.
    assert_eq!(difference(&origin, &error, |other| other.payload.truncate(36)), None);
    let cut = difference(&origin, &error, |other| other.payload.truncate(35));
    assert_eq!(cut, Some("length of the quote"));
    assert_eq!(difference(&origin, &error, |other| other.payload[30] ^= 1), Some("quote"));
    assert_eq!(difference(&origin, &error, |other| other.source = ip("10.1.0.9")), Some("source"));
    let kind = difference(&origin, &error, |other| other.payload[1] = 0);
    assert_eq!(kind, Some("ICMP type, code and MTU"));
    let mut wrong = error.clone();
    wrong.payload[2] ^= 1;
    let wrong = alike(&origin, &error.to_bytes(), &wrong.to_bytes()).err();
    assert_eq!(wrong.map(|difference| difference.what), Some("checksum"));
}

#[test]
fn resets_have_their_numbers_and_echoes_their_data() {
    let acl = "[[vnet.acl]]\nline = 1\naction = \"reject\"\n";
    let step = Node::new(&usual().replace(ALLOW, acl)).out(&segment("10.1.0.2", "172.16.1.2", (9, 80), SYN));
    let reset = read(&step.emitted[0].bytes);
    let window = difference(&Origin::Reset, &reset, |other| other.payload[14] = 7);
    assert_eq!(window, None);
    assert_eq!(difference(&Origin::Reset, &reset, |other| other.payload[11] ^= 1), Some("numbers"));
    assert_eq!(difference(&Origin::Reset, &reset, |other| other.payload[13] ^= 0x10), Some("flags"));
    let step = Node::new(&usual()).from("gw-b", &ping("10.200.1.2", "10.200.0.14", 5));
    let Fate::Answered { bytes, .. } = step.fate else { panic!("{step:?}") };
    let echo = read(&bytes);
    assert_eq!(difference(&Origin::Echo, &echo, |other| other.ttl = 9), None);
    assert_eq!(difference(&Origin::Echo, &echo, |other| other.payload[9] ^= 1), Some("echoed data"));
}
