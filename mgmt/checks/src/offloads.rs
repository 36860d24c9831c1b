//! Offloads of the data NIC that stand in XDP's way.

use std::io;

use gridway_kernel::{Feature, Interface};

use crate::finding::Finding;
use crate::nic::is_virtual_ethernet;

/// Features that make several frames into one before XDP sees them, with the word that `ethtool -K` knows them by.
const MERGING: [(&str, &str); 2] = [("rx-lro", "lro"), ("rx-gro-hw", "rx-gro-hw")];
/// Features that take VLAN tags off.
const STRIPPING: [&str; 2] = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"];

pub(crate) fn data(interface: &str) -> Vec<Finding> {
    let Ok(Some(device)) = Interface::named(interface) else { return Vec::new() };
    let driver = device.driver().unwrap_or_default();
    judge(interface, &driver, device.features())
}

fn judge(interface: &str, driver: &str, features: io::Result<Vec<Feature>>) -> Vec<Finding> {
    let features = match features {
        Ok(features) => features,
        // That the interface is missing has been said.
        Err(_) => return Vec::new(),
    };
    let is_on = |name: &str| features.iter().any(|feature| feature.active && feature.name == name);
    let mut findings = vec![merging(interface, is_on), stripping(interface, is_on)];
    if is_virtual_ethernet(driver) {
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

fn merging(interface: &str, is_on: impl Fn(&str) -> bool) -> Finding {
    const ID: &str = "data.merging";
    let on: Vec<&str> = MERGING.iter().filter(|(name, _)| is_on(name)).map(|(_, word)| *word).collect();
    if on.is_empty() {
        return Finding::ok(ID, interface, "frames come as they were sent (LRO and hardware GRO are off)");
    }
    Finding::warning(
        ID,
        interface,
        format!(
            "the NIC merges frames ({}): drivers refuse native XDP, or packets come too large",
            on.join(", ")
        ),
        format!("ethtool -K {interface} {} off", on.join(" off ")),
    )
}

fn stripping(interface: &str, is_on: impl Fn(&str) -> bool) -> Finding {
    const ID: &str = "data.vlan_stripping";
    if STRIPPING.iter().any(|name| is_on(name)) {
        return Finding::ok(
            ID,
            interface,
            "the NIC takes VLAN tags off; a node switches that off when it starts",
        );
    }
    Finding::ok(ID, interface, "VLAN tags stay on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    #[test]
    fn merging_frames_is_warned_of_with_the_command_that_ends_it() {
        assert_eq!(merging("data0", |_| false).status, Status::Ok);
        let both = merging("data0", |_| true);
        assert_eq!(both.advice, "ethtool -K data0 lro off rx-gro-hw off");
    }

    #[test]
    fn of_virtual_ethernet_it_is_said_that_the_other_end_cannot_be_seen() {
        let ids = |driver| {
            judge("data0", driver, Ok(Vec::new())).iter().map(|finding| finding.id).collect::<Vec<_>>()
        };
        assert!(ids("veth").contains(&"data.peer_checksums"));
        assert!(!ids("ice").contains(&"data.peer_checksums"));
    }
}
