//! Several vnets on one node, of equal addresses.

use gridway_forwarding::{Inbound, Outbound};

use crate::support::{
    ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, address, answer, assert_addresses, judged, udp,
};

/// As `corp`, with the same virtual addresses; its far hosts are local hosts' 172.17.2.0/24.
const BLUE: &str = r#"
[[vnet]]
name = "blue"
cidr = "10.200.0.0/16"
  [[vnet.inside_nat]]
  local = "10.1.0.0/24"
  virtual = "10.200.1.0/24"
  [[vnet.outside_nat]]
  virtual = "10.200.2.0/24"
  local = "172.17.2.0/24"
  [[vnet.route]]
  to = "10.200.2.0/24"
  via = "gw-b"
"#;

const BLUE_HOST_B: &str = "172.17.2.7";

#[test]
fn equal_tuples_in_two_vnets_are_two_flows_with_answers_of_their_own() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}{BLUE}{ALLOW_ALL}"));
    for (vnet, far) in [("corp", HOST_B[2]), ("blue", BLUE_HOST_B)] {
        let mut bytes = udp(HOST_A[0], far).to_bytes();
        let Outbound::Tunnel { to, .. } = node.outbound(&mut bytes) else { panic!("{vnet}") };
        assert_eq!(to.vnet, node.vnet(vnet));
        assert_addresses(&judged(&bytes), HOST_A[1], HOST_B[1]);
    }
    assert_eq!(node.flows.len(), 2);
    for (vnet, far) in [("corp", HOST_B[2]), ("blue", BLUE_HOST_B)] {
        let mut bytes = answer(&udp(HOST_A[1], HOST_B[1])).to_bytes();
        let verdict = node.inbound_in("gw-b", vnet, &mut bytes);
        assert_eq!(verdict, Inbound::Deliver { destination: address(HOST_A[0]), len: bytes.len() });
        assert_addresses(&judged(&bytes), far, HOST_A[0]);
    }
    assert_eq!(node.flows_created(), 2);
}

#[test]
fn each_vnet_is_judged_by_its_own_access_policy() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}{BLUE}"));
    assert_eq!(node.refusal(&udp(HOST_A[0], HOST_B[2])), None);
    let refused = node.refusal(&udp(HOST_A[0], BLUE_HOST_B)).expect("blue has no rule");
    assert_eq!(refused.name(), "acl_no_match");
}

#[test]
fn an_overlay_packet_of_one_vnet_does_not_use_a_flow_of_the_other() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}{BLUE}"));
    node.send(&udp(HOST_A[0], HOST_B[2]));
    let mut bytes = answer(&udp(HOST_A[1], HOST_B[1])).to_bytes();
    let Inbound::Drop(reason) = node.inbound_in("gw-b", "blue", &mut bytes) else {
        panic!("blue allows nothing");
    };
    assert_eq!(reason.name(), "acl_no_match");
}
