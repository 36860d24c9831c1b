//! The tables of the management process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::document::Section;
use crate::error::Problem;
use crate::leaf::{ApiAddress, quote};
use crate::management::{Api, HistoryStore, LocalSocket, ManagedNode, ManagementConfig, Webhook, WebhookUrl};
use crate::model::format_duration;
use crate::read::tables;

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn all(root: &Section<'_>, base: &Path) -> Option<ManagementConfig> {
    let node = node(root, base);
    let api = api(root, base);
    let store = store(root, base);
    let webhook = webhook(root, base);
    let log = tables::log(root);
    let local = local(root, node.as_ref(), base);
    Some(ManagementConfig { node: node?, api: api?, store: store?, webhook: webhook?, log, local: local? })
}

fn node(root: &Section<'_>, base: &Path) -> Option<ManagedNode> {
    let section = root.required_table("node")?;
    let socket = section.required::<PathBuf>("socket").map(|path| base.join(path));
    section.finish();
    let socket = socket?;
    tables::check_socket(&section, &socket);
    Some(ManagedNode { socket })
}

fn api(root: &Section<'_>, base: &Path) -> Option<Api> {
    let section = root.required_table("api")?;
    let path = |key| section.required::<PathBuf>(key).map(|path| base.join(path));
    let listen = section.required("listen").map(|ApiAddress(address)| address);
    let interface = section.required("interface");
    let operators_ca = path("operators_ca");
    let operators_crl = section.optional::<PathBuf>("operators_crl").map(|path| base.join(path));
    let (certificate, private_key) = (path("certificate"), path("private_key"));
    let rate = section.integer("requests_per_second", 1, 10_000).unwrap_or(Api::DEFAULT_RATE);
    section.finish();
    Some(Api {
        listen: listen?,
        interface: interface?,
        operators_ca: operators_ca?,
        operators_crl,
        certificate: certificate?,
        private_key: private_key?,
        requests_per_second: rate,
    })
}

fn store(root: &Section<'_>, base: &Path) -> Option<HistoryStore> {
    let section = root.required_table("store")?;
    let path = section.required::<PathBuf>("path").map(|path| base.join(path));
    let keep = section.optional("keep").unwrap_or(HistoryStore::DEFAULT_KEEP);
    let versions = section.integer("versions", 1, 100_000).unwrap_or(HistoryStore::DEFAULT_VERSIONS);
    section.finish();
    if keep.as_millis() % DAY.as_millis() != 0 {
        let expected = "whole days, such as \"90d\"".to_owned();
        section.refuse_key("keep", Problem::Invalid { found: quote(&format_duration(keep)), expected });
    }
    Some(HistoryStore { path: path?, keep, versions })
}

/// Outer `None`: it is wrong, and was reported. Inner `None`: no such table.
fn webhook(root: &Section<'_>, base: &Path) -> Option<Option<Webhook>> {
    let Some(value) = root.value("webhook") else { return Some(None) };
    let section = value.table()?;
    let url = section.required("url").map(|WebhookUrl(url)| url);
    let ca = section.optional::<PathBuf>("ca").map(|path| base.join(path));
    let severity = section.optional("severity").unwrap_or_default();
    section.finish();
    Some(Some(Webhook { url: url?, ca, severity }))
}

/// `None` where the default is needed and the node's socket is wrong, which was reported.
fn local(root: &Section<'_>, node: Option<&ManagedNode>, base: &Path) -> Option<LocalSocket> {
    let default = node.map(|node| LocalSocket::beside(&node.socket));
    let Some(section) = root.table("local") else { return default };
    let socket = section.optional::<PathBuf>("socket").map(|path| base.join(path));
    section.finish();
    let Some(socket) = socket else { return default };
    tables::check_socket(&section, &socket);
    Some(LocalSocket { socket })
}
