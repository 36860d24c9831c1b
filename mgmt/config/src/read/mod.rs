//! From the document to the model: one module a subject. Readers report what is wrong and go on, so
//! that all errors of a file are found in one go.

mod acl;
mod acl_warnings;
mod address;
mod connector;
mod management;
mod nat;
mod node;
mod object;
mod peer;
mod role;
mod route;
mod service;
mod tables;
mod unique;
mod vnet;

use std::path::Path;

use toml::de::DeTable;

use crate::config::Config;
use crate::document::{Place, Report, Section};
use crate::error::{ConfigErrors, Problem};
use crate::management::ManagementConfig;
use crate::read::connector::Listeners;
use crate::warning::ConfigWarning;

/// Reads and validates a node's configuration. Relative paths are resolved against `base`.
pub(crate) fn config(
    text: &str,
    file: &Path,
    base: &Path,
) -> Result<(Config, Vec<ConfigWarning>), ConfigErrors> {
    document(text, file, |root| all(root, base))
}

/// As [`config`], of the management process.
pub(crate) fn management_config(
    text: &str,
    file: &Path,
    base: &Path,
) -> Result<ManagementConfig, ConfigErrors> {
    document(text, file, |root| management::all(root, base)).map(|(config, _)| config)
}

/// Parses `text` and has `read` walk it; `read` returns `None` only where it reported why.
fn document<T>(
    text: &str,
    file: &Path,
    read: impl FnOnce(&Section<'_>) -> Option<T>,
) -> Result<(T, Vec<ConfigWarning>), ConfigErrors> {
    let report = Report::new(text, file);
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    let mut config = None;
    if syntax_errors.is_empty() {
        let root = Section::root(&report, &document);
        config = read(&root);
        root.finish();
    }
    // What the parser guessed behind a syntax error is not judged: those errors would mislead.
    for error in syntax_errors {
        let line = report.line(error.span().map_or(0, |span| span.start));
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        report.refuse(&Place { field: String::new(), line }, Problem::Syntax { message });
    }
    let warnings = report.into_warnings()?;
    Ok((config.expect("a part that is missing was reported"), warnings))
}

fn all(root: &Section<'_>, base: &Path) -> Option<Config> {
    let node = node::node(root);
    let identity = node::identity(root, base);
    let data = node::data(root);
    let management = node::management(root);
    let workers = node::workers(root);
    let tunnel = tables::tunnel(root);
    let throttle = tables::throttle(root);
    let flows = tables::flows(root);
    let limits = tables::limits(root);
    let log = tables::log(root);
    let flow_log = tables::flow_log(root, base);
    let control = tables::control(root, node.as_ref(), base);
    let peers = peer::peers(root, node.as_ref());
    let objects = object::objects(root);
    let mut listeners = Listeners::new(root, tunnel.listen);
    let vnets = vnet::vnets(root, &peers.names, &objects, &mut listeners);
    let services = service::services(root, &peers.names);
    let service_ranges = service::service_ranges(root, &peers.names);
    let connectors = connector::connectors(root, &peers.names, &mut listeners);
    if let Some(node) = &node {
        role::check(root, node.role, data.as_ref(), management.as_ref(), tunnel.listen, &peers);
    }
    Some(Config {
        node: node?,
        identity: identity?,
        data: data.flatten(),
        management: management?,
        workers,
        tunnel,
        throttle,
        flows,
        limits,
        log,
        flow_log,
        control: control?,
        peers: peers.into_peers(),
        objects: objects.into_objects(),
        vnets,
        services,
        service_ranges,
        connectors,
    })
}
