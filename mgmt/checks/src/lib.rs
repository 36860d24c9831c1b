//! What a machine must have for a node, and what would do it good: `gridway doctor`, and what the data plane insists
//! on before it starts ([`required`]).
//!
//! Everything is read from `/proc`, `/sys`, netlink and ioctls; nothing is changed and no program is run.

mod certificates;
mod clock;
mod control;
mod cpus;
mod credentials;
mod finding;
mod forwarding;
mod kernel;
mod limits;
mod link;
mod memory;
mod network;
mod nic;
mod offloads;
mod ports;
mod system;

use std::path::Path;
use std::time::SystemTime;

use gridway_config::{Config, ConfigErrors};

pub use credentials::{ReadCredentialsError, read_credentials};
pub use finding::{Finding, Status};
pub use limits::descriptors_wanted;
pub use nic::receive_queues;
use system::System;

/// What the data plane needs before it starts; a problem among it means that it cannot.
#[must_use]
pub fn required(config: &Config) -> Vec<Finding> {
    let system = System::this();
    let interfaces = [Some(&config.management.interface), config.data.as_ref().map(|data| &data.interface)];
    let mut findings = vec![kernel::version(), limits::capabilities(config.data.is_some())];
    findings
        .extend(interfaces.into_iter().flatten().map(|interface| link::link(&system, interface.as_str())));
    findings
}

/// Examines this machine alone.
#[must_use]
pub fn machine() -> Vec<Finding> {
    let system = System::this();
    let mut findings = vec![kernel::version()];
    findings.extend(kernel::features(&system));
    findings.extend(network::buffers(&system));
    findings.extend(cpus::power(&system));
    findings.push(clock::synchronised());
    findings
}

/// Examines this machine for the node whose configuration is in `file`. A configuration that is wrong is a finding,
/// and then all that can be said.
#[must_use]
pub fn node(file: &Path) -> Vec<Finding> {
    let mut findings = machine();
    match Config::load(file) {
        Err(errors) => findings.push(wrong(file, &errors)),
        Ok(config) => {
            findings.push(Finding::ok("config.file", file.display(), "good"));
            findings.extend(of_node(&config));
        }
    }
    findings
}

fn wrong(file: &Path, errors: &ConfigErrors) -> Finding {
    let advice = format!("mend the file; `gridway config check {}` judges it again", file.display());
    Finding::problem("config.file", file.display(), errors.to_string().trim_end(), advice)
}

fn of_node(config: &Config) -> Vec<Finding> {
    let system = System::this();
    let running = control::running(config);
    let is_running = running.found.starts_with(control::RUNS);
    let mut findings = vec![limits::capabilities(config.data.is_some())];
    findings.extend(limits::of_service(config));
    if let Some(data) = &config.data {
        let needs_xdp = config.needs_xdp() || !kernel::has_tcx();
        findings.extend(nic::data(&system, data, needs_xdp, is_running));
        findings.extend(offloads::data(data.interface.as_str(), needs_xdp, !config.vnets.is_empty()));
        findings.extend(forwarding::data(&system, data.interface.as_str()));
        findings.push(memory::huge_pages(&system, data.interface.as_str()));
    }
    findings.push(link::link(&system, config.management.interface.as_str()));
    findings.extend(network::of_node(config));
    findings.extend(forwarding::reverse_path(&system, config));
    findings.extend(ports::of_node(config, is_running));
    findings.extend(cpus::of_node(&system, config));
    findings.extend(certificates::of_node(config, SystemTime::now()));
    findings.extend(control::directory(&system, config));
    findings.push(running);
    findings
}
