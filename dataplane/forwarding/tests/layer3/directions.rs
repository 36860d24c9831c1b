//! Who may begin: a flow that was let through in one direction opens no way for another in the other one.

use gridway_forwarding::DropReason;
use gridway_forwarding::flow::{Side, State};
use gridway_wire::generate::PacketSpec;
use gridway_wire::tcp::TcpFlags;

use crate::support::{CORP_A, HOST_A, HOST_B, Node, answer, corp_of_relay, echo, tcp};

/// Vnet `corp` on A's node, where one side may begin what the other answers.
fn one_way(protocol: &str, from: Side) -> Node {
    let [source, destination] = match from {
        Side::Local => ["10.200.1.0/24", "10.200.2.0/24"],
        Side::Overlay => ["10.200.2.0/24", "10.200.1.0/24"],
    };
    let rule = format!(
        "  [[vnet.acl]]\n  line = 10\n  action = \"allow\"\n  protocol = \"{protocol}\"\n  source = \"{source}\"\n  \
         destination = \"{destination}\"\n"
    );
    Node::new(&format!("{CORP_A}{rule}"))
}

/// Sends a packet of the flow between A's and B's host, as `side` would.
fn pass(
    node: &mut Node,
    side: Side,
    packet: impl Fn(&str, &str) -> PacketSpec,
    begins: bool,
) -> Option<DropReason> {
    // A packet of the side that did not begin has the ports of an answer.
    let directed = |source: &str, destination: &str| match begins {
        true => packet(source, destination),
        false => answer(&packet(destination, source)),
    };
    match side {
        Side::Local => node.refusal(&directed(HOST_A[0], HOST_B[2])),
        Side::Overlay => node.inbound_refusal("gw-b", &directed(HOST_B[1], HOST_A[1])),
    }
}

fn segment(flags: TcpFlags) -> impl Fn(&str, &str) -> PacketSpec {
    move |source, destination| tcp(source, destination, flags)
}

const fn other(side: Side) -> Side {
    match side {
        Side::Local => Side::Overlay,
        Side::Overlay => Side::Local,
    }
}

#[test]
fn a_flow_taken_up_in_mid_stream_lets_no_connection_begin_that_may_not() {
    for allowed in [Side::Local, Side::Overlay] {
        let mut node = one_way("tcp", allowed);
        let refused = other(allowed);
        assert_eq!(pass(&mut node, refused, segment(TcpFlags::ACK), true), None, "taken up");
        for _ in 0..2 {
            let syn = pass(&mut node, refused, segment(TcpFlags::SYN), true);
            assert_eq!(syn, Some(DropReason::AclNoMatch), "from {refused:?}");
        }
        // The other side may begin one on the same ports, and a SYN of the side that may not is still refused.
        assert_eq!(pass(&mut node, allowed, segment(TcpFlags::SYN), false), None);
        assert_eq!(node.only_flow().started_by, allowed);
        assert_eq!(State::of(&node.only_flow()), State::Opening);
        let syn = pass(&mut node, refused, segment(TcpFlags::SYN), true);
        assert_eq!(syn, Some(DropReason::AclNoMatch));
        assert_eq!(pass(&mut node, refused, segment(TcpFlags::SYN | TcpFlags::ACK), true), None);
        assert_eq!(node.flows_created(), 1);
    }
}

#[test]
fn a_repeated_syn_is_judged_once() {
    for side in [Side::Local, Side::Overlay] {
        let mut node = one_way("tcp", side);
        for _ in 0..3 {
            assert_eq!(pass(&mut node, side, segment(TcpFlags::SYN), true), None);
        }
        let vnet = node.policy.vnet_named("corp").expect("it is configured");
        let hits: u64 = vnet.acl.rules().map(|(_, hits)| hits.read().0).sum();
        assert_eq!(hits, 1, "from {side:?}");
    }
}

#[test]
fn the_side_that_answers_pings_may_not_ping_with_their_identifier() {
    for allowed in [Side::Local, Side::Overlay] {
        let mut node = one_way("icmp", allowed);
        let query = |source: &str, destination: &str| echo(source, destination, false);
        assert_eq!(pass(&mut node, allowed, query, true), None);
        let back = pass(&mut node, other(allowed), query, true);
        assert_eq!(back, Some(DropReason::AclNoMatch), "a query from {:?}", other(allowed));
        assert_eq!(pass(&mut node, other(allowed), query, false), None, "the reply");
    }
}

/// B's host and one behind C; only B's may begin.
#[test]
fn a_relay_is_no_way_around_either() {
    let rest = "
  [[vnet.route]]
  to = \"10.200.3.0/24\"
  via = \"gw-c\"

  [[vnet.acl]]
  line = 10
  action = \"allow\"
  protocol = \"tcp\"
  source = \"10.200.2.0/24\"
  destination = \"10.200.3.0/24\"
";
    let mut node = Node::new(&format!("{}{rest}", corp_of_relay()));
    let segment = |flags| tcp("10.200.3.7", HOST_B[1], flags);
    assert_eq!(node.inbound_refusal("gw-c", &segment(TcpFlags::ACK)), None);
    assert_eq!(node.inbound_refusal("gw-c", &segment(TcpFlags::SYN)), Some(DropReason::AclNoMatch));
    assert_eq!(node.inbound_refusal("gw-b", &answer(&segment(TcpFlags::SYN))), None);
    assert_eq!(node.inbound_refusal("gw-c", &segment(TcpFlags::SYN)), Some(DropReason::AclNoMatch));
}
