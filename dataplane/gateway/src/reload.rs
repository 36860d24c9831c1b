//! Live change: a new configuration or new certificates, all of it or none.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Result, bail};
use gridway_config::{Config, ConfigWarning, Identity};
use gridway_control::Severity;
use gridway_forwarding::next_hop::NextHops;
use gridway_forwarding::policy::Policy;
use gridway_forwarding::{PeerId, Registry};
use gridway_tunnel::Credentials;

use crate::events::Kind;
use crate::node::{Control, Node};
use crate::steering;

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

/// A configuration of which nothing is wrong, not in force yet.
pub(crate) struct Prepared {
    pub(crate) config: Arc<Config>,
    credentials: Arc<Credentials>,
    policy: Policy,
    peers: Vec<(PeerId, gridway_config::Peer)>,
}

impl Prepared {
    /// Makes everything that `config` asks for, with the credentials that its files hold.
    pub(crate) fn new(node: &Node, registry: &mut Registry, config: Arc<Config>) -> Result<Self> {
        let fields = Config::restart_fields(&node.config.load(), &config);
        if !fields.is_empty() {
            bail!("these fields need a restart: {}", fields.join(", "));
        }
        let credentials = Arc::new(gridway_checks::read_credentials(&config)?);
        let prepared = Self::again(node, registry, config, credentials)?;
        if let Some(own) = shared_own_address(&prepared.policy, &node.next_hops.load()) {
            bail!("{own}");
        }
        Ok(prepared)
    }

    /// As [`Self::new`], for a configuration that was in force before.
    pub(crate) fn again(
        node: &Node,
        registry: &mut Registry,
        config: Arc<Config>,
        credentials: Arc<Credentials>,
    ) -> Result<Self> {
        let policy = Policy::compile(&config, registry, Some(&node.policy.load()))?;
        let peers = numbered_peers(&config, registry)?;
        Ok(Self { config, credentials, policy, peers })
    }

    /// What a driver may refuse; it may be done before the rest.
    pub(crate) fn steer(&self, node: &Node) -> Result<()> {
        steering::prepare(node, &self.config)
    }

    /// Puts it into force; on an error nothing of it is. The steering program is all that can fail, so it comes first.
    pub(crate) fn put_into_force(self, node: &Node) -> Result<()> {
        self.steer(node)?;
        if let Some(mut steer) = node.lock_steer()
            && let Err(error) = steer.set_proxied(&self.policy.proxied())
        {
            if let Err(again) = steer.set_proxied(&node.policy.load().proxied()) {
                tracing::error!(%again, "ARP and neighbour solicitations are not steered as configured");
            }
            return Err(error.into());
        }
        let vnets_before = node.announced_vnets();
        node.book.configure(self.peers, node.clock.now());
        node.credentials.store(self.credentials);
        node.flow_log.configure(node.flows.journal(), self.config.flow_log.clone());
        node.apply(self.config, Arc::new(self.policy));
        node.tell_all(|| Control::Rejudge);
        node.tell_all(|| Control::Reconfigured);
        let vnets = node.announced_vnets();
        if vnets != vnets_before {
            node.tell_all(|| Control::Announce(vnets.clone()));
        }
        Ok(())
    }
}

/// What certificates belong to in the configuration.
const IDENTITY: &str = "identity";

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
                let message = "certificates and revocations reloaded, live tunnels judged by them";
                node.events.record(Severity::Info, Kind::CertificatesReloaded, IDENTITY, message);
            }
            // Tried again with the next look: a mode or a lack of descriptors is mended without a newer file.
            Err(error) => {
                let reason = Some(format!("{error:#}"));
                if self.refused != reason {
                    self.refused = reason;
                    let message = format!("new certificates refused, the old ones stay in force: {error:#}");
                    node.events.record(Severity::Error, Kind::CertificatesRefused, IDENTITY, message);
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
