//! Other proxies that carry TCP in mutual TLS 1.3, with the laboratory's own certificates; their configurations lie in
//! `bench/rivals`.

use std::path::Path;

use anyhow::{Context, Result};
use gridway_lab::gateway::{NodeConfig, Pki};
use gridway_lab::{Lab, Process, Side};

use super::end::{End, version};
use super::{BULK, ECHO, WEB};

const STUNNEL: &str = include_str!("../../rivals/stunnel.conf");
const HAPROXY: &str = include_str!("../../rivals/haproxy.cfg");

/// Another proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    Stunnel,
    HaProxy,
}

impl Proxy {
    pub(crate) const ALL: [Self; 2] = [Self::Stunnel, Self::HaProxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stunnel => "stunnel",
            Self::HaProxy => "HAProxy",
        }
    }

    /// What it says when it is asked for its version.
    pub(crate) fn version(self) -> String {
        match self {
            // The first line tells what it was started as.
            Self::Stunnel => version(Path::new("stunnel"), "-version", "stunnel "),
            Self::HaProxy => version(Path::new("haproxy"), "-v", ""),
        }
    }

    /// Starts both ends.
    pub(super) fn start(self, lab: &Lab) -> Result<Vec<Process>> {
        let pki = Pki::of(lab)?;
        Side::BOTH.map(|side| self.start_end(&End { lab, side }, &pki)).into_iter().collect()
    }

    /// Clear text comes to the near end at the data link and leaves the far end towards h2; TLS is between them.
    fn start_end(self, end: &End<'_>, pki: &Pki) -> Result<Process> {
        let node = end.side.node();
        pki.ensure(node)?;
        let (listen, connect) = match end.side {
            Side::A => (Side::A.data(), Side::B.wan()),
            Side::B => (Side::B.wan(), Side::B.host(0)),
        };
        let (listen, connect) = (listen.to_string(), connect.to_string());
        let far_name = format!("{}.{}", end.far().side.node(), NodeConfig::DOMAIN);
        let pki = pki.dir().display().to_string();
        let ports = [BULK, WEB, ECHO].map(|port| port.to_string());
        let client = end.side == Side::A;
        let tls =
            format!("ssl verify required ca-file {pki}/ca.crt crt {}", end.file(&format!("{node}.pem")));
        let tls_to_far = format!("{tls} verifyhost {far_name}");
        let values = [
            ("PKI", pki.as_str()),
            ("LISTEN", &listen),
            ("CONNECT", &connect),
            ("FAR_NAME", &far_name),
            ("BULK", &ports[0]),
            ("WEB", &ports[1]),
            ("ECHO", &ports[2]),
            ("CLIENT", if client { "yes" } else { "no" }),
            ("TLS_TO_NEAR", if client { "" } else { &tls }),
            ("TLS_TO_FAR", if client { &tls_to_far } else { "" }),
        ];
        match self {
            Self::Stunnel => {
                let file = end.write(&format!("stunnel-{node}.conf"), &end.fill(STUNNEL, &values)?)?;
                end.spawn(&["stunnel", &file])
            }
            Self::HaProxy => {
                let read = |kind: &str| {
                    let file = format!("{pki}/{node}.{kind}");
                    std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))
                };
                // It wants certificate and key in one file.
                end.write(&format!("{node}.pem"), &(read("crt")? + &read("key")?))?;
                let file = end.write(&format!("haproxy-{node}.cfg"), &end.fill(HAPROXY, &values)?)?;
                end.spawn(&["haproxy", "-db", "-f", &file])
            }
        }
    }
}
