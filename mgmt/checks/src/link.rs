//! An interface: there, up, with carrier, at full speed.

use std::path::{Path, PathBuf};

use crate::finding::Finding;
use crate::system::System;

/// `IFF_UP`.
const UP: u32 = 1;

/// Folder of an interface.
pub(crate) fn folder(interface: &str) -> PathBuf {
    Path::new("/sys/class/net").join(interface)
}

/// Whether an interface can carry anything.
pub(crate) fn link(system: &System, interface: &str) -> Finding {
    const ID: &str = "interface.link";
    let folder = folder(interface);
    if !system.exists(&folder) {
        let advice = "see `ip link`, and [data] and [management] in the configuration";
        return Finding::problem(ID, interface, format!("there is no interface {interface}"), advice);
    }
    let flags = system.text(folder.join("flags")).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
    if flags & UP == 0 {
        let advice = format!("ip link set {interface} up");
        return Finding::problem(ID, interface, format!("interface {interface} is down"), advice);
    }
    if system.number(folder.join("carrier")) == Some(0) {
        let found = "up, but no carrier: nothing is at the other end of the line";
        return Finding::warning(ID, interface, found, format!("check cable and switch port of {interface}"));
    }
    Finding::ok(ID, interface, "up, with carrier")
}

/// Speed and duplex of an interface that has them.
pub(crate) fn speed(system: &System, interface: &str) -> Option<Finding> {
    const ID: &str = "interface.speed";
    let folder = folder(interface);
    let speed = system.number(folder.join("speed")).filter(|speed| *speed > 0)?;
    let duplex = system.text(folder.join("duplex")).unwrap_or_default();
    Some(match duplex.as_str() {
        "half" => Finding::warning(
            ID,
            interface,
            format!("{speed} Mbit/s at half duplex: the two ends did not agree"),
            format!("let both ends negotiate: ethtool -s {interface} autoneg on"),
        ),
        _ => Finding::ok(ID, interface, format!("{speed} Mbit/s, {duplex} duplex")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    fn interface(flags: &str, carrier: &str, duplex: &str) -> (tempfile::TempDir, System) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/class/net/eth0");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in [("flags", flags), ("carrier", carrier), ("duplex", duplex), ("speed", "1000\n")]
        {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let system = System::below(root.path());
        (root, system)
    }

    #[test]
    fn an_interface_that_is_missing_or_down_is_a_problem_and_one_without_carrier_a_warning() {
        let (_root, system) = interface("0x1003\n", "1\n", "full\n");
        assert_eq!(link(&system, "eth0").status, Status::Ok);
        assert_eq!(link(&system, "eth1").status, Status::Problem);
        let (_root, system) = interface("0x1002\n", "1\n", "full\n");
        assert_eq!(link(&system, "eth0").advice, "ip link set eth0 up");
        let (_root, system) = interface("0x1003\n", "0\n", "full\n");
        assert_eq!(link(&system, "eth0").status, Status::Warning);
    }

    #[test]
    fn half_duplex_is_warned_of_and_an_interface_without_speed_is_not_judged() {
        let (_root, system) = interface("0x1003\n", "1\n", "half\n");
        assert_eq!(speed(&system, "eth0").unwrap().status, Status::Warning);
        assert!(speed(&system, "eth1").is_none());
    }
}
