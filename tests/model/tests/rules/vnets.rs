//! Two vnets with the same virtual addresses are two worlds.

use gridway_model::{Fate, ModelChooses, Packet};

use crate::support::{ALLOW, INSIDE, Node, ROUTES, VNET, ends, pooled, read, udp};

/// Vnets `one` and `two`, alike but for the pools.
fn two_vnets() -> Node {
    let second = [VNET, INSIDE, ROUTES, ALLOW].concat().replace("\"one\"", "\"two\"");
    let pool = "[[vnet.outside_nat]]\nvirtual = \"10.200.0.0/22\"\nlocal = \"172.17.1.8/32\"\n";
    Node::new(&[pooled(), second, pool.to_owned()].concat())
}

fn from(node: &mut Node, vnet: &str, packet: &Packet) -> Fate {
    node.0.inbound("gw-b", vnet, &packet.to_bytes(), &mut ModelChooses).expect("a legal choice").fate
}

fn local_ends(fate: Fate) -> String {
    match fate {
        Fate::Delivered { bytes, .. } => ends(&read(&bytes)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn flows_and_mappings_belong_to_their_vnet() {
    let mut node = two_vnets();
    let packet = udp("10.200.1.2", "10.200.0.2", (5000, 80));
    assert_eq!(local_ends(from(&mut node, "one", &packet)), "172.16.1.8 5000 > 10.1.0.2 80");
    assert_eq!(local_ends(from(&mut node, "two", &packet)), "172.17.1.8 5000 > 10.1.0.2 80");
    assert_eq!(node.0.flows().len(), 2);
    for (pool, vnet) in [("172.16.1.8", "one"), ("172.17.1.8", "two")] {
        let step = node.out(&udp("10.1.0.2", pool, (80, 5000)));
        assert!(matches!(&step.fate, Fate::Tunnelled { vnet: to, .. } if to == vnet), "{step:?}");
    }
}

#[test]
fn a_host_has_a_mapping_of_its_own_in_each_pool() {
    // The hosts of 10.200.1.0/28 share one address, those of 10.200.2.0/28 another; the first change pools.
    let split = |first: &str, second: &str| {
        let pools = format!(
            "[[vnet.outside_nat]]\nvirtual = \"10.200.1.0/28\"\nlocal = \"{first}/32\"\n\
             [[vnet.outside_nat]]\nvirtual = \"10.200.2.0/28\"\nlocal = \"{second}/32\"\n"
        );
        [VNET, INSIDE, &pools, ROUTES, ALLOW].concat()
    };
    let mut node = Node::new(&split("172.16.1.8", "172.16.2.8"));
    let packet = |port| udp("10.200.1.2", "10.200.0.2", (5000, port));
    assert_eq!(ends(&node.delivered("gw-b", &packet(80))), "172.16.1.8 5000 > 10.1.0.2 80");
    node.reload(&split("172.16.2.8", "172.16.1.8"));
    // The old flow's address now belongs to other hosts: neither it nor a new flow keeps it.
    assert_eq!(ends(&node.delivered("gw-b", &packet(81))), "172.16.2.8 5000 > 10.1.0.2 81");
    assert_eq!(ends(&node.delivered("gw-b", &packet(80))), "172.16.2.8 5000 > 10.1.0.2 80");
}
