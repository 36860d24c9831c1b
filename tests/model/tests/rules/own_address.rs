use gridway_model::packet::{Carries, SYN};
use gridway_model::{Fate, Packet, To};

use crate::support::{ALLOW, Node, check, ip, only, ping, read, segment, to_peer, usual, with_ttl};

fn answer(fate: Fate) -> (To, Packet) {
    match fate {
        Fate::Answered { to, bytes } => {
            check(&bytes);
            (to, read(&bytes))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn echo_is_answered_at_the_vnets_address() {
    let mut node = Node::new(&usual());
    for (from, own) in [("10.200.1.2", "10.200.0.14"), ("fd00:200:0:2::7", "fd00:200:0:1::fe")] {
        let request = with_ttl(&ping(from, own, 5), 1);
        let (to, reply) = answer(node.from("gw-b", &request).fate);
        assert_eq!(to, to_peer("gw-b"));
        assert_eq!((reply.source, reply.destination), (request.destination, request.source));
        assert_eq!((reply.carries(), reply.tuple().source_port), (Carries::Reply, 5));
        assert_eq!(reply.payload[8..], *b"hello");
        assert!(reply.ttl > 1);
    }
    assert!(node.0.flows().is_empty());
}

#[test]
fn the_policy_judges_it() {
    let acl = "[[vnet.acl]]\nline = 1\naction = \"drop\"\nprotocol = \"icmp\"\n";
    let mut node = Node::new(&[&usual().replace(ALLOW, acl), ALLOW].concat());
    assert_eq!(node.refusal_of("gw-b", &ping("10.200.1.2", "10.200.0.14", 5)), Some("acl_deny"));
    assert_eq!(node.refusal_of("gw-c", &ping("10.200.1.2", "10.200.0.14", 5)), Some("source_check"));
}

#[test]
fn nothing_else_is() {
    let mut node = Node::new(&usual());
    let syn = segment("10.200.1.2", "10.200.0.14", (9, 22), SYN);
    let step = node.from("gw-b", &syn);
    assert_eq!(step.reason(), Some("to_own_address"));
    assert_eq!(only(&step.emitted).1.payload[..2], [3, 1]);
    let reply = crate::support::pong("10.200.1.2", "10.200.0.14", 5);
    assert_eq!(node.refusal_of("gw-b", &reply), Some("to_own_address"));
}

#[test]
fn the_data_address_answers_echo_and_nothing_else() {
    // 10.200.0.1 is 10.1.0.1, the data NIC's.
    let mut node = Node::new(&usual());
    let (_, reply) = answer(node.from("gw-b", &ping("10.200.1.2", "10.200.0.1", 5)).fate);
    assert_eq!(reply.source.to_string(), "10.200.0.1");
    let step = node.from("gw-b", &segment("10.200.1.2", "10.200.0.1", (9, 22), SYN));
    assert_eq!(step.reason(), Some("to_own_address"));
    assert_eq!(only(&step.emitted).1.payload[..2], [3, 1]);
    assert_eq!(node.0.flows().len(), 2, "as for any local host");
}

#[test]
fn fragments_of_an_echo_are_not_answered() {
    let mut node = Node::new(&usual());
    for own in ["10.200.0.14", "10.200.0.1"] {
        let request = gridway_model::packet::build::echo(ip("10.200.1.2"), ip(own), 5, false, &[1; 40]);
        for piece in request.split(77, 24) {
            assert_eq!(node.refusal_of("gw-b", &piece), Some("to_own_address"), "{own}");
        }
    }
}
