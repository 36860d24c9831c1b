//! Live change: a new configuration or new certificates, all of it or none.

use std::path::Path;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::SystemTime;

use anyhow::{Result, bail};
use gridway_config::{Config, ConfigWarning, Identity};
use gridway_forwarding::next_hop::NextHops;
use gridway_forwarding::policy::Policy;
use gridway_forwarding::{PeerId, Registry};

use crate::node::{Control, Node};

/// The peers of a configuration with their numbers.
pub(crate) fn numbered_peers(
    config: &Config,
    registry: &mut Registry,
) -> Result<Vec<(PeerId, gridway_config::Peer)>> {
    config.peers.iter().map(|peer| Ok((registry.peer(peer.name.as_str())?, peer.clone()))).collect()
}

/// A pool of shared addresses may not hold an address of the node itself: packets to it are the kernel's.
pub(crate) fn shared_own_address(policy: &Policy, hops: &NextHops) -> Option<String> {
    let own = hops.own().iter().find(|own| policy.is_shared(**own))?;
    Some(format!(
        "outside_nat: {own} is an address of the data interface and cannot be shared by remote hosts"
    ))
}

/// Logs what is odd about a configuration that is taken into force.
pub(crate) fn log_warnings(warnings: &[ConfigWarning]) {
    const LOGGED: usize = 20;
    for warning in warnings.iter().take(LOGGED) {
        tracing::warn!("{warning}");
    }
    if warnings.len() > LOGGED {
        let more = warnings.len() - LOGGED;
        tracing::warn!(more, "the configuration has more warnings; `gridway config check` shows all");
    }
}

/// Takes the configuration in `file` into force, unless anything about it is wrong.
pub(crate) fn reload(node: &Node, file: &Path, registry: &mut Registry) {
    let outcome = try_reload(node, file, registry);
    let error = outcome.err().map(|error| format!("{error:#}"));
    match &error {
        None => tracing::info!(generation = node.policy.load().generation, "configuration reloaded"),
        Some(error) => tracing::error!("configuration not reloaded, the old one stays in force: {error}"),
    }
    *node.last_reload_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
}

fn try_reload(node: &Node, file: &Path, registry: &mut Registry) -> Result<()> {
    let (config, warnings) = Config::load_with_warnings(file)?;
    let fields = Config::restart_fields(&node.config.load(), &config);
    if !fields.is_empty() {
        bail!("these fields need a restart: {}", fields.join(", "));
    }
    let credentials = gridway_checks::read_credentials(&config)?;
    let config = Arc::new(config);
    let policy = Policy::compile(&config, registry, Some(&node.policy.load()))?;
    if let Some(own) = shared_own_address(&policy, &node.next_hops.load()) {
        bail!("{own}");
    }
    let peers = numbered_peers(&config, registry)?;
    // The maps are the only part that can fail from here on; they are set first.
    if let Some(mut steer) = node.lock_steer() {
        steer.set_proxied(&policy.proxied())?;
    }
    log_warnings(&warnings);
    let vnets_before = node.announced_vnets();
    node.book.configure(peers, node.clock.now());
    node.credentials.store(Arc::new(credentials));
    node.apply(config, Arc::new(policy));
    node.tell_all(|| Control::Rejudge);
    node.tell_all(|| Control::Reconfigured);
    let vnets = node.announced_vnets();
    if vnets != vnets_before {
        node.tell_all(|| Control::Announce(vnets.clone()));
    }
    Ok(())
}

/// Notices certificates and revocation lists that were replaced in place.
#[derive(Debug)]
pub(crate) struct IdentityWatch {
    /// Files of the credentials in force.
    seen: Vec<Option<SystemTime>>,
    /// Why those there now are not: said once.
    refused: Option<String>,
}

impl IdentityWatch {
    pub(crate) fn new(identity: &Identity) -> Self {
        Self { seen: modified(identity), refused: None }
    }

    /// Loads the credentials again when a file of theirs has changed, and judges live tunnels by them.
    pub(crate) fn check(&mut self, node: &Node) {
        let config = node.config.load();
        let now = modified(&config.identity);
        if now == self.seen {
            return;
        }
        match gridway_checks::read_credentials(&config) {
            Ok(credentials) => {
                (self.seen, self.refused) = (now, None);
                node.credentials.store(Arc::new(credentials));
                node.tell_all(|| Control::Rejudge);
                tracing::info!("certificates and revocations reloaded");
            }
            // Tried again with the next look: a mode or a lack of descriptors is mended without a newer file.
            Err(error) => {
                let reason = Some(format!("{error:#}"));
                if self.refused != reason {
                    self.refused = reason;
                    tracing::error!("new certificates not loaded, the old ones stay in force: {error:#}");
                }
            }
        }
    }
}

fn modified(identity: &Identity) -> Vec<Option<SystemTime>> {
    let files = [&identity.ca, &identity.certificate, &identity.private_key];
    let all = files.into_iter().chain(&identity.crl);
    all.map(|file| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()).collect()
}
