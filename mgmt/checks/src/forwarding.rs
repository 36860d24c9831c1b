//! What the kernel itself would do with packets: forward them, or accept forged ones.

use gridway_config::Config;

use crate::finding::Finding;
use crate::system::System;

/// Forwarding by way of the data NIC, which a node switches off when it starts.
pub(crate) fn data(system: &System, interface: &str) -> Vec<Finding> {
    let is_on = |name: &str| system.sysctl(name, interface).is_some_and(|value| value != "0");
    let v4 = match is_on("net.ipv4.conf.{}.forwarding") {
        false => {
            Finding::ok("data.forwarding4", interface, "the kernel does not forward IPv4 of the data NIC")
        }
        true => Finding::warning(
            "data.forwarding4",
            interface,
            "without a node the kernel forwards packets of local hosts in clear; a node switches that off when it \
             starts, and leaves it off",
            format!("sysctl -w net.ipv4.conf.{interface}.forwarding=0, and ip_forward out of /etc/sysctl.d"),
        ),
    };
    let everywhere = is_on("net.ipv6.conf.all.forwarding");
    let v6 = match everywhere || is_on("net.ipv6.conf.{}.force_forwarding") {
        false => Finding::ok("data.forwarding6", interface, "the kernel does not forward IPv6"),
        true => Finding::warning(
            "data.forwarding6",
            interface,
            "the kernel forwards IPv6; a node switches that off when it starts, for the whole machine",
            "sysctl -w net.ipv6.conf.all.forwarding=0; route IPv6 on another machine",
        ),
    };
    vec![v4, v6]
}

/// Reverse-path filters: where connectors and port forwards let the kernel take packets, forged sources should not
/// reach them; where tunnels are, a strict filter may drop answers.
pub(crate) fn reverse_path(system: &System, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The kernel takes the larger of the two (ip-sysctl: 0 none, 1 strict, 2 loose).
    let filter = |interface: &str| {
        let value = |name| system.sysctl(name, interface).and_then(|value| value.parse::<u32>().ok());
        let own = value("net.ipv4.conf.{}.rp_filter").unwrap_or(0);
        own.max(value("net.ipv4.conf.all.rp_filter").unwrap_or(0))
    };
    if let Some(data) = config.data.as_ref().filter(|_| config.listeners().next().is_some()) {
        let name = data.interface.as_str();
        findings.push(match filter(name) {
            0 => Finding::warning(
                "data.rp_filter",
                name,
                "connectors and port forwards take packets with any source address",
                format!(
                    "sysctl -w net.ipv4.conf.{name}.rp_filter=1 (2 where hosts are behind several routers)"
                ),
            ),
            _ => Finding::ok("data.rp_filter", name, "forged source addresses do not reach connectors"),
        });
    }
    let name = config.management.interface.as_str();
    findings.push(match filter(name) {
        1 => Finding::ok("management.rp_filter", name, "strict: peers must be routed by this interface"),
        _ => Finding::ok("management.rp_filter", name, "not strict"),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    #[test]
    fn forwarding_is_warned_of_for_each_family() {
        let root = tempfile::tempdir().unwrap();
        let system = System::below(root.path());
        let write = |path: &str, text: &str| {
            let path = root.path().join("proc/sys/net").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let statuses = || data(&system, "data0.7").iter().map(|finding| finding.status).collect::<Vec<_>>();
        write("ipv4/conf/data0.7/forwarding", "0\n");
        write("ipv6/conf/all/forwarding", "0\n");
        assert_eq!(statuses(), [Status::Ok, Status::Ok]);
        write("ipv4/conf/data0.7/forwarding", "1\n");
        assert_eq!(statuses(), [Status::Warning, Status::Ok]);
        write("ipv6/conf/data0.7/force_forwarding", "1\n");
        assert_eq!(statuses(), [Status::Warning, Status::Warning]);
    }
}
