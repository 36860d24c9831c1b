//! Notices certificates and revocation lists that were replaced in place.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use gridway_config::Api;

use crate::server::trust::{Trust, TrustError};

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
    /// Loads the credentials for the first time.
    ///
    /// # Errors
    /// [`TrustError`].
    pub(crate) fn load(api: Api) -> Result<Self, TrustError> {
        // Looked at before they are read: what is replaced meanwhile is read again.
        let seen = modified(&api);
        let trust = Arc::new(ArcSwap::from_pointee(Trust::load(&api)?));
        Ok(Self { api, trust, seen, refused: None })
    }

    /// The credentials in force.
    pub(crate) fn trust(&self) -> Arc<ArcSwap<Trust>> {
        self.trust.clone()
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
