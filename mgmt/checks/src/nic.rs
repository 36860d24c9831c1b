//! The data NIC: driver, XDP, queues and rings.

use gridway_config::{Attach, Data, Rings};
use gridway_kernel::{Interface, RingSizes, SINGLE_BUFFER_MTU};
use gridway_netlink::{Xdp, XdpFeatures};

use crate::finding::Finding;
use crate::link;
use crate::system::System;

/// Drivers and what they can do (native XDP, zero-copy), for kernels that do not say it themselves: before 6.3.
const DRIVERS: [(&str, bool, bool); 18] = [
    ("bnxt_en", true, false),
    ("e1000e", false, false),
    ("ena", true, false),
    ("gve", true, false),
    ("hv_netvsc", true, false),
    ("i40e", true, true),
    ("ice", true, true),
    ("igb", true, false),
    ("igc", true, true),
    ("ixgbe", true, true),
    ("mlx4_en", true, false),
    ("mlx5_core", true, true),
    ("r8169", false, false),
    ("sfc", true, false),
    ("stmmac", true, true),
    ("tg3", false, false),
    ("veth", true, false),
    ("virtio_net", true, false),
];
/// Descriptors below which bursts are lost while a worker has its hands full.
const FEW_DESCRIPTORS: u32 = 1024;

/// Receive queues of an interface.
#[must_use]
pub fn receive_queues(interface: &str) -> u32 {
    let names = System::this().names(link::folder(interface).join("queues"));
    let count = names.iter().filter(|name| name.starts_with("rx-")).count();
    u32::try_from(count).unwrap_or(1).max(1)
}

/// Everything about the data NIC but its offloads and addresses.
pub(crate) fn data(system: &System, data: &Data, needs_xdp: bool, is_running: bool) -> Vec<Finding> {
    let name = data.interface.as_str();
    let mut findings = vec![link::link(system, name)];
    if !system.exists(link::folder(name)) {
        return findings;
    }
    findings.extend(link::speed(system, name));
    findings.extend(system.number(link::folder(name).join("mtu")).map(|found| mtu(name, found, needs_xdp)));
    let device = Interface::named(name).ok().flatten();
    let driver = device.as_ref().and_then(|device| device.driver().ok()).unwrap_or_default();
    match gridway_netlink::xdp(name) {
        Ok(xdp) => findings.extend(xdp_support(data, &driver, xdp, needs_xdp, is_running)),
        Err(error) => findings.push(Finding::warning(
            "data.xdp",
            name,
            format!("the kernel does not say what {name} can do: {error}"),
            format!("ethtool -i {name}"),
        )),
    }
    let rings = device.as_ref().and_then(|device| device.ring_sizes().ok()).flatten();
    findings.extend(rings.map(|rings| ring_sizes(name, rings)));
    findings
}

fn mtu(interface: &str, mtu: i64, needs_xdp: bool) -> Finding {
    const ID: &str = "data.mtu";
    if mtu <= i64::from(SINGLE_BUFFER_MTU) {
        return Finding::ok(ID, interface, format!("{mtu} bytes; {SINGLE_BUFFER_MTU} is the most"));
    }
    let advice =
        format!("ip link set {interface} mtu {SINGLE_BUFFER_MTU}, or less, and start the node (again)");
    let misfit = format!("the MTU is {mtu}: frames do not fit one XDP buffer");
    if needs_xdp {
        return Finding::problem(ID, interface, format!("{misfit}, and the node does not start"), advice);
    }
    let later =
        format!("{misfit}: the first vnet would be refused, and before Linux 6.6 the node does not start");
    Finding::warning(ID, interface, later, advice)
}

fn xdp_support(data: &Data, driver: &str, xdp: Xdp, needs_xdp: bool, is_running: bool) -> Vec<Finding> {
    let name = data.interface.as_str();
    let known = DRIVERS.iter().find(|(known, ..)| *known == driver);
    let features =
        xdp.features.or_else(|| known.map(|&(_, native, zero_copy)| XdpFeatures { native, zero_copy }));
    let mut findings = vec![native(data, driver, needs_xdp, features), zero_copy(data, driver, features)];
    // While a node needs no XDP its program is elsewhere.
    if xdp.attached && !(is_running && needs_xdp) {
        const ID: &str = "data.occupied";
        let advice =
            format!("see what it is: bpftool net show dev {name}; take it off: ip link set {name} xdp off");
        findings.push(if needs_xdp {
            Finding::problem(
                ID,
                name,
                "another XDP program is attached, and this node's could not be",
                advice,
            )
        } else {
            Finding::warning(
                ID,
                name,
                "another XDP program is attached: the first vnet would be refused",
                advice,
            )
        });
    }
    findings
}

fn native(data: &Data, driver: &str, needs_xdp: bool, features: Option<XdpFeatures>) -> Finding {
    const ID: &str = "data.xdp";
    let name = data.interface.as_str();
    let can = features.map(|features| features.native);
    match (data.attach, can) {
        (Attach::Generic, _) => Finding::warning(
            ID,
            name,
            "data.attach = \"generic\": the program runs after the kernel has made a packet of the frame, which is slower",
            "data.attach = \"auto\"",
        ),
        (_, Some(true)) => {
            Finding::ok(ID, name, format!("driver {driver} runs XDP programs itself (native)"))
        }
        (Attach::Auto, Some(false)) => Finding::warning(
            ID,
            name,
            format!(
                "driver {driver} runs no XDP programs: {} the generic mode, which is slower",
                if needs_xdp { "it is" } else { "with the first vnet it will be" }
            ),
            "use a NIC with native XDP (i40e, ice, ixgbe, igc, mlx5_core, ena, virtio_net)",
        ),
        (Attach::Native, Some(false)) => Finding::problem(
            ID,
            name,
            format!(
                "data.attach = \"native\", but driver {driver} runs no XDP programs: the node does not start"
            ),
            "data.attach = \"auto\", or another NIC",
        ),
        (_, None) => Finding::warning(
            ID,
            name,
            format!(
                "driver {driver:?} is not known here; whether it runs XDP programs shows when the node starts"
            ),
            "`gridway status` names the mode in use",
        ),
    }
}

fn zero_copy(data: &Data, driver: &str, features: Option<XdpFeatures>) -> Finding {
    const ID: &str = "data.zero_copy";
    let name = data.interface.as_str();
    match (data.rings, features.map(|features| features.zero_copy)) {
        (Rings::Copy, _) => Finding::ok(ID, name, "data.rings = \"copy\": frames are copied, as configured"),
        (_, Some(true)) => Finding::ok(ID, name, format!("driver {driver} shares its buffers (zero-copy)")),
        (Rings::ZeroCopy, Some(false)) => Finding::problem(
            ID,
            name,
            format!("data.rings = \"zero-copy\", but driver {driver} cannot: the node does not start"),
            "data.rings = \"auto\", or a NIC with zero-copy (i40e, ice, ixgbe, igc, mlx5_core)",
        ),
        (_, can) => {
            let found = match can {
                Some(_) => format!("driver {driver} has no zero-copy: every frame is copied once more"),
                None => format!("driver {driver:?} is not known here; zero-copy is tried first"),
            };
            Finding::ok(ID, name, found)
        }
    }
}

fn ring_sizes(interface: &str, rings: RingSizes) -> Finding {
    const ID: &str = "data.ring_sizes";
    let most = FEW_DESCRIPTORS.max(rings.rx).min(rings.rx_max.max(rings.rx));
    if rings.rx >= most {
        return Finding::ok(
            ID,
            interface,
            format!("{} descriptors to receive, {} to send", rings.rx, rings.tx),
        );
    }
    Finding::warning(
        ID,
        interface,
        format!("{} descriptors to receive: bursts are lost before XDP sees them", rings.rx),
        format!("ethtool -G {interface} rx {most}"),
    )
}

/// Whether `driver` is virtual Ethernet, whose other end may leave checksums unfinished.
pub(crate) fn is_virtual_ethernet(driver: &str) -> bool {
    driver == "veth"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    fn data(attach: Attach, rings: Rings) -> Data {
        let interface = "data0".parse().unwrap();
        Data { interface, attach, rings, deny: Vec::new() }
    }

    fn statuses(data: &Data, driver: &str, xdp: Xdp) -> Vec<(&'static str, Status)> {
        xdp_support(data, driver, xdp, true, false)
            .iter()
            .map(|finding| (finding.id, finding.status))
            .collect()
    }

    #[test]
    fn what_the_kernel_says_of_a_driver_counts_more_than_what_is_known_of_it() {
        let auto = data(Attach::Auto, Rings::Auto);
        let all = Xdp { features: Some(XdpFeatures { native: true, zero_copy: true }), attached: false };
        assert_eq!(statuses(&auto, "tg3", all), [("data.xdp", Status::Ok), ("data.zero_copy", Status::Ok)]);
        let silent = Xdp::default();
        assert_eq!(statuses(&auto, "tg3", silent)[0], ("data.xdp", Status::Warning));
        assert_eq!(statuses(&auto, "ice", silent)[0], ("data.xdp", Status::Ok));
        assert_eq!(statuses(&auto, "something", silent)[0], ("data.xdp", Status::Warning));
    }

    #[test]
    fn a_mode_that_is_insisted_on_and_cannot_be_had_is_a_problem() {
        let none = Xdp { features: Some(XdpFeatures { native: false, zero_copy: false }), attached: false };
        let insisted = data(Attach::Native, Rings::ZeroCopy);
        assert!(statuses(&insisted, "tg3", none).iter().all(|(_, status)| *status == Status::Problem));
    }

    #[test]
    fn a_program_of_somebody_else_is_a_problem() {
        let occupied = Xdp { attached: true, ..Xdp::default() };
        let auto = data(Attach::Auto, Rings::Auto);
        assert!(statuses(&auto, "ice", occupied).contains(&("data.occupied", Status::Problem)));
        let occupied = |needs_xdp, is_running| {
            let findings = xdp_support(&auto, "ice", occupied, needs_xdp, is_running);
            findings.iter().find(|finding| finding.id == "data.occupied").map(|finding| finding.status)
        };
        assert_eq!(occupied(true, true), None, "it is this node's");
        assert_eq!(occupied(false, true), Some(Status::Warning), "this node's is at the tc hook");
        assert_eq!(occupied(false, false), Some(Status::Warning), "the node starts");
    }

    #[test]
    fn an_mtu_beyond_one_buffer_is_a_problem_and_short_rings_that_could_grow_a_warning() {
        assert_eq!(mtu("data0", 1500, true).status, Status::Ok);
        assert_eq!(mtu("data0", i64::from(SINGLE_BUFFER_MTU) + 1, true).status, Status::Problem);
        assert_eq!(mtu("data0", i64::from(SINGLE_BUFFER_MTU) + 1, false).status, Status::Warning);
        let rings = |rx, rx_max| ring_sizes("data0", RingSizes { rx, rx_max, tx: 512, tx_max: 512 });
        assert_eq!(rings(512, 4096).advice, "ethtool -G data0 rx 1024");
        assert_eq!(rings(256, 256).status, Status::Ok);
        assert_eq!(rings(2048, 4096).status, Status::Ok);
    }
}
