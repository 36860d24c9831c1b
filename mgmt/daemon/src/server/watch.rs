//! Notices certificates and revocation lists that were replaced in place.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use gridway_config::Api;

use crate::server::trust::Trust;

/// Keeps the credentials as the files are.
pub(crate) struct TrustWatch {
    api: Api,
    trust: Arc<ArcSwap<Trust>>,
    /// Files of the credentials in force.
    seen: Vec<Option<SystemTime>>,
    /// Why those there now are not: said once.
    refused: Option<String>,
}

impl TrustWatch {
    pub(crate) fn new(api: Api, trust: Arc<ArcSwap<Trust>>) -> Self {
        Self { seen: modified(&api), api, trust, refused: None }
    }

    /// Loads the credentials again when a file of theirs has changed. Connections that live are judged by them at
    /// their next request.
    pub(crate) fn check(&mut self) {
        let now = modified(&self.api);
        if now == self.seen {
            return;
        }
        match Trust::load(&self.api) {
            Ok(trust) => {
                (self.seen, self.refused) = (now, None);
                self.trust.store(Arc::new(trust));
                tracing::info!("certificates and revocations reloaded");
            }
            // Tried again with the next look: a mode is mended without a newer file.
            Err(error) => {
                let reason = Some(error.to_string());
                if self.refused != reason {
                    self.refused = reason;
                    tracing::error!("new certificates not loaded, the old ones stay in force: {error}");
                }
            }
        }
    }
}

fn modified(api: &Api) -> Vec<Option<SystemTime>> {
    let files = [&api.operators_ca, &api.certificate, &api.private_key];
    let all = files.into_iter().chain(&api.operators_crl);
    all.map(|file| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()).collect()
}
