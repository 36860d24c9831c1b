//! Two nodes with mirrored policies: what one translates the other translates back.

use std::net::Ipv4Addr;

use gridway_forwarding::Inbound;
use gridway_wire::generate::{Content, PacketSpec, any_content};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{ALLOW_ALL, CORP_A, CORP_B, Node, answer, judged};

/// A packet from a host of A to the name it has for a host of B.
fn local_packet() -> impl Strategy<Value = PacketSpec> {
    let content = any_content().prop_filter("a reply begins no flow", |content| {
        !matches!(content, Content::Echo { reply: true, .. })
    });
    (1u8..=253, 1u8..=253, 3u8.., any::<u8>(), 0usize..=10, content, vec(any::<u8>(), 0..1300)).prop_map(
        |(from, to, ttl, class, extras, content, payload)| PacketSpec {
            source: Ipv4Addr::new(10, 1, 0, from).into(),
            destination: Ipv4Addr::new(172, 16, 2, to).into(),
            ttl,
            class,
            extras,
            content,
            payload,
        },
    )
}

/// The host behind the last byte of an address, under another prefix.
fn host(
    prefix: [u8; 3],
    of: &PacketSpec,
    pick: impl Fn(&PacketSpec) -> std::net::IpAddr,
) -> std::net::IpAddr {
    let std::net::IpAddr::V4(address) = pick(of) else { panic!("only IPv4 is translated") };
    Ipv4Addr::new(prefix[0], prefix[1], prefix[2], address.octets()[3]).into()
}

proptest! {
    #[test]
    fn far_inbound_undoes_near_outbound_and_the_reply_finds_home(spec in local_packet()) {
        let mut near = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
        let mut far = Node::new(&format!("{CORP_B}{ALLOW_ALL}"));

        let (_, mut bytes) = near.send(&spec);
        judged(&bytes);
        let verdict = far.inbound("gw-a", &mut bytes);
        let delivered = PacketSpec {
            source: host([172, 16, 1], &spec, |spec| spec.source),
            destination: host([10, 2, 0], &spec, |spec| spec.destination),
            ttl: spec.ttl - 2,
            ..spec.clone()
        };
        prop_assert_eq!(verdict, Inbound::Deliver { destination: delivered.destination, len: bytes.len() });
        judged(&bytes);
        prop_assert_eq!(&bytes, &delivered.to_bytes());

        let (_, mut bytes) = far.send(&answer(&PacketSpec { ttl: spec.ttl, ..delivered }));
        judged(&bytes);
        let verdict = near.inbound("gw-b", &mut bytes);
        prop_assert_eq!(verdict, Inbound::Deliver { destination: spec.source, len: bytes.len() });
        let expected = PacketSpec { ttl: spec.ttl - 2, ..answer(&spec) };
        prop_assert_eq!(bytes, expected.to_bytes());
        prop_assert_eq!((near.flows_created(), far.flows_created()), (1, 1));
    }
}
