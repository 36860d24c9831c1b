//! Offloads of the data NIC that stand in XDP's way.

use std::io;

use gridway_kernel::{Feature, Interface};

use crate::finding::Finding;
use crate::nic::is_virtual_ethernet;

/// Features that make several frames into one before XDP sees them, with the word that `ethtool -K` knows them by.
const MERGING: [(&str, &str); 2] = [("rx-lro", "lro"), ("rx-gro-hw", "rx-gro-hw")];
/// Features that take VLAN tags off.
const STRIPPING: [&str; 2] = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"];

pub(crate) fn data(interface: &str, needs_xdp: bool, has_vnets: bool) -> Vec<Finding> {
    let Ok(Some(device)) = Interface::named(interface) else { return Vec::new() };
    let driver = device.driver().unwrap_or_default();
    judge(interface, &driver, needs_xdp, has_vnets, device.features())
}

fn judge(
    interface: &str,
    driver: &str,
    needs_xdp: bool,
    has_vnets: bool,
    features: io::Result<Vec<Feature>>,
) -> Vec<Finding> {
    let features = match features {
        Ok(features) => features,
        // That the interface is missing has been said.
        Err(_) => return Vec::new(),
    };
    let is_on = |name: &str| features.iter().any(|feature| feature.active && feature.name == name);
    let mut findings = vec![merging(interface, needs_xdp, is_on), stripping(interface, is_on)];
    if is_virtual_ethernet(driver) && has_vnets {
        findings.push(Finding::warning(
            "data.peer_checksums",
            interface,
            "virtual Ethernet: whether its other end leaves checksums unfinished cannot be seen from here; the node \
             would drop such packets",
            "at the other end: ethtool -K PEER tx off tso off gso off",
        ));
    }
    findings
}

fn merging(interface: &str, needs_xdp: bool, is_on: impl Fn(&str) -> bool) -> Finding {
    const ID: &str = "data.merging";
    let on: Vec<&str> = MERGING.iter().filter(|(name, _)| is_on(name)).map(|(_, word)| *word).collect();
    if on.is_empty() {
        return Finding::ok(ID, interface, "frames come as they were sent (LRO and hardware GRO are off)");
    }
    let merges = format!("the NIC merges frames ({})", on.join(", "));
    let off = format!("ethtool -K {interface} {} off", on.join(" off "));
    if needs_xdp {
        let found = format!("{merges}: drivers refuse native XDP, or packets come too large");
        Finding::warning(ID, interface, found, off)
    } else {
        Finding::ok(ID, interface, format!("{merges}, to no harm without a vnet; before the first: {off}"))
    }
}

fn stripping(interface: &str, is_on: impl Fn(&str) -> bool) -> Finding {
    const ID: &str = "data.vlan_stripping";
    if STRIPPING.iter().any(|name| is_on(name)) {
        return Finding::ok(ID, interface, "the NIC takes VLAN tags off; a node switches that off for XDP");
    }
    Finding::ok(ID, interface, "VLAN tags stay on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    #[test]
    fn merging_frames_is_warned_of_with_the_command_that_ends_it() {
        assert_eq!(merging("data0", true, |_| false).status, Status::Ok);
        assert_eq!(merging("data0", false, |_| true).status, Status::Ok);
        let both = merging("data0", true, |_| true);
        assert_eq!(both.advice, "ethtool -K data0 lro off rx-gro-hw off");
    }

    #[test]
    fn of_virtual_ethernet_it_is_said_that_the_other_end_cannot_be_seen() {
        let ids = |driver, has_vnets| {
            let findings = judge("data0", driver, true, has_vnets, Ok(Vec::new()));
            findings.iter().map(|finding| finding.id).collect::<Vec<_>>()
        };
        assert!(ids("veth", true).contains(&"data.peer_checksums"));
        assert!(!ids("ice", true).contains(&"data.peer_checksums"));
        assert!(!ids("veth", false).contains(&"data.peer_checksums"), "the kernel takes them as they are");
    }
}
