//! Other tunnels, set up as their own documentation advises; their configurations lie in `bench/rivals`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::{Lab, Process, Side, try_wait_until};

use super::end::{End, version};

const OPENVPN: &str = include_str!("../../rivals/openvpn.conf");
const WIREGUARD: &str = include_str!("../../rivals/wireguard.conf");
const NEBULA: &str = include_str!("../../rivals/nebula.yml");

/// MTU of WireGuard devices: what `wg-quick` sets on a path of 1500 bytes.
const WIREGUARD_MTU: u32 = 1420;
/// How long a program may take to make its device.
const DEVICE: Duration = Duration::from_secs(10);

/// Another tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tunnel {
    OpenVpnTcp,
    OpenVpnUdp,
    Gotatun,
    WireguardGo,
    Nebula,
}

impl Tunnel {
    pub(crate) const ALL: [Self; 5] =
        [Self::OpenVpnTcp, Self::OpenVpnUdp, Self::Gotatun, Self::WireguardGo, Self::Nebula];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenVpnTcp => "OpenVPN, TCP",
            Self::OpenVpnUdp => "OpenVPN, UDP",
            Self::Gotatun => "gotatun (WireGuard)",
            Self::WireguardGo => "wireguard-go",
            Self::Nebula => "Nebula",
        }
    }

    /// What it says when it is asked for its version.
    pub(crate) fn version(self) -> String {
        let (program, argument) = match self {
            Self::OpenVpnTcp | Self::OpenVpnUdp => (PathBuf::from("openvpn"), "--version"),
            Self::Gotatun => (gotatun(), "--version"),
            Self::WireguardGo => ("wireguard-go".into(), "--version"),
            Self::Nebula => ("nebula".into(), "-version"),
        };
        version(&program, argument, "")
    }

    /// Starts both ends; the kernel forwards between their devices and the data link. The devices go with their
    /// processes.
    pub(super) fn start(self, lab: &Lab) -> Result<Vec<Process>> {
        for side in Side::BOTH {
            lab.gateway(side).sysctl("net/ipv4/ip_forward", "1")?;
        }
        let ends = Side::BOTH.map(|side| End { lab, side });
        match self {
            Self::OpenVpnTcp => openvpn(&ends, ["tcp-server", "tcp-client"]),
            Self::OpenVpnUdp => openvpn(&ends, ["udp", "udp"]),
            Self::Gotatun => {
                let program = gotatun().into_os_string().into_string();
                let program = program.map_err(|path| anyhow::anyhow!("{path:?} is no UTF-8"))?;
                wireguard(&ends, &[&program, "-f", "--disable-drop-privileges"])
            }
            Self::WireguardGo => wireguard(&ends, &["wireguard-go", "-f"]),
            Self::Nebula => nebula(&ends),
        }
    }
}

/// Where `cargo xtask bench` installs gotatun: beside the directory of this program.
fn gotatun() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    let target = this.ancestors().nth(2).map(PathBuf::from).unwrap_or_default();
    target.join("rivals/bin/gotatun")
}

fn openvpn(ends: &[End<'_>; 2], protocols: [&str; 2]) -> Result<Vec<Process>> {
    let mut fingerprints = Vec::new();
    for end in ends {
        let [key, certificate] = end.key_pair(&format!("openvpn-{}", end.side.node()));
        if !std::path::Path::new(&certificate).exists() {
            let subject = format!("/CN={}", end.side.node());
            let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -sha256";
            let make: Vec<&str> =
                make.split(' ').chain(["-subj", &subject, "-keyout", &key, "-out", &certificate]).collect();
            end.run(&make)?;
        }
        let shown =
            end.run(&["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", &certificate])?;
        let fingerprint = shown.split_once('=').context("openssl shows no fingerprint")?.1.to_owned();
        fingerprints.push(fingerprint);
    }
    let mut processes = Vec::new();
    for (n, end) in ends.iter().enumerate() {
        let far = end.far();
        let remote = format!("remote {} 1194", far.side.wan());
        let network = far.side.network().split_once('/').context("a network has a length")?.0;
        // A TCP server has no remote, and only UDP has fast-io.
        let remote = match protocols[n] {
            "tcp-server" => String::new(),
            "udp" => format!("{remote}\nfast-io"),
            _ => remote,
        };
        let text = end.fill(
            OPENVPN,
            &[
                ("FAR_NETWORK", network),
                ("FAR_NETMASK", "255.255.255.0"),
                ("PROTOCOL", protocols[n]),
                ("REMOTE", &remote),
                ("TLS_ROLE", ["tls-server", "tls-client"][n]),
                ("FAR_FINGERPRINT", &fingerprints[1 - n]),
            ],
        )?;
        let file = end.write(&format!("openvpn-{}.conf", end.side.node()), &text)?;
        processes.push(end.spawn(&["openvpn", "--config", &file])?);
    }
    Ok(processes)
}

/// WireGuard by a program that makes a device and is then configured by `wg`.
fn wireguard(ends: &[End<'_>; 2], program: &[&str]) -> Result<Vec<Process>> {
    let mut keys = Vec::new();
    for end in ends {
        let private = end.run(&["wg", "genkey"])?;
        let command = end.lab.gateway(end.side).command("wg").arg("pubkey").stdin(private.clone());
        keys.push((private, command.run()?.stdout.trim().to_owned()));
    }
    let mut processes = Vec::new();
    for (n, end) in ends.iter().enumerate() {
        // Their control sockets lie in one directory, whatever namespace they are in.
        let device = format!("{}-{}", &end.lab.id()[end.lab.id().len().saturating_sub(6)..], end.side.node());
        let mut words = program.to_vec();
        words.push(&device);
        processes.push(end.spawn(&words)?);
        wait_for_device(end, &device)?;
        let values = [
            ("PRIVATE_KEY", keys[n].0.as_str()),
            ("FAR_PUBLIC_KEY", &keys[1 - n].1),
            ("FAR_NETWORK", end.far().side.network()),
        ];
        let file =
            end.write(&format!("wireguard-{}.conf", end.side.node()), &end.fill(WIREGUARD, &values)?)?;
        let configured = || {
            let set = end.lab.gateway(end.side).command("wg").args(["setconf", &device, &file]);
            Ok(set.run_unchecked()?.status.success().then_some(()))
        };
        try_wait_until("the device takes its configuration", DEVICE, configured)?;
        end.lab.gateway(end.side).ip_batch(&format!(
            "addr add {}/32 dev {device}\nlink set {device} up mtu {WIREGUARD_MTU}\nroute add {}/32 dev {device}\nroute add {} dev {device}",
            end.address(),
            end.far().address(),
            end.far().side.network()
        ))?;
    }
    Ok(processes)
}

/// Waits until a program has made its device.
fn wait_for_device(end: &End<'_>, device: &str) -> Result<()> {
    let gateway = end.lab.gateway(end.side);
    let there = || {
        let found = gateway.command("ip").args(["link", "show", device]).run_unchecked()?;
        Ok(found.status.success().then_some(()))
    };
    try_wait_until("the tunnel's device", DEVICE, there).with_context(|| device.to_owned())
}

fn nebula(ends: &[End<'_>; 2]) -> Result<Vec<Process>> {
    let [a, _] = ends;
    let [key, certificate] = a.key_pair("nebula-ca");
    if !std::path::Path::new(&certificate).exists() {
        a.run(&["nebula-cert", "ca", "-name", "laboratory", "-out-crt", &certificate, "-out-key", &key])?;
        for end in ends {
            let [own_key, own] = end.key_pair(&format!("nebula-{}", end.side.node()));
            let address = format!("{}/24", end.address());
            end.run(&[
                "nebula-cert",
                "sign",
                "-ca-crt",
                &certificate,
                "-ca-key",
                &key,
                "-name",
                end.side.node(),
                "-ip",
                &address,
                "-subnets",
                end.side.network(),
                "-out-crt",
                &own,
                "-out-key",
                &own_key,
            ])?;
        }
    }
    ends.iter()
        .map(|end| {
            let file = end.write(&format!("nebula-{}.yml", end.side.node()), &end.fill(NEBULA, &[])?)?;
            end.spawn(&["nebula", "-config", &file])
        })
        .collect()
}
