//! Notices certificates and revocation lists that were replaced in place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use gridway_config::Api;

use crate::server::trust::{Operators, Own, Trust, TrustError};

/// Keeps the credentials as the files are. The API's own and those of operators do not wait for each other: whatever is
/// wrong with one, a revocation is heard of.
pub(crate) struct TrustWatch {
    api: Api,
    trust: Arc<ArcSwap<Trust>>,
    own: Part<Own>,
    operators: Part<Operators>,
}

/// Credentials that are replaced together.
struct Part<T> {
    files: Vec<PathBuf>,
    loaded: T,
    /// The files as they were when it was loaded.
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
        let own = Part::load(vec![api.certificate.clone(), api.private_key.clone()], || Own::load(&api))?;
        let files = [api.operators_ca.clone()].into_iter().chain(api.operators_crl.clone());
        let operators = Part::load(files.collect(), || Operators::load(&api))?;
        let trust = Trust::new(own.loaded.clone(), operators.loaded.clone())?;
        Ok(Self { api, trust: Arc::new(ArcSwap::from_pointee(trust)), own, operators })
    }

    /// The credentials in force.
    pub(crate) fn trust(&self) -> Arc<ArcSwap<Trust>> {
        self.trust.clone()
    }

    /// Loads the credentials again whose files have changed. Connections that live are judged by them at their next
    /// request.
    pub(crate) fn check(&mut self) {
        let own = self.own.check(|| Own::load(&self.api));
        let operators = self.operators.check(|| Operators::load(&self.api));
        if !own && !operators {
            return;
        }
        match Trust::new(self.own.loaded.clone(), self.operators.loaded.clone()) {
            Ok(trust) => {
                self.trust.store(Arc::new(trust));
                tracing::info!("certificates and revocations reloaded");
            }
            Err(error) => tracing::error!("new certificates not loaded, the old ones stay in force: {error}"),
        }
    }
}

impl<T> Part<T> {
    fn load(files: Vec<PathBuf>, load: impl FnOnce() -> Result<T, TrustError>) -> Result<Self, TrustError> {
        // Looked at before they are read: what is replaced meanwhile is read again.
        let seen = modified(&files);
        Ok(Self { loaded: load()?, files, seen, refused: None })
    }

    /// Whether it was loaded again.
    fn check(&mut self, load: impl FnOnce() -> Result<T, TrustError>) -> bool {
        let now = modified(&self.files);
        if now == self.seen {
            return false;
        }
        match load() {
            Ok(loaded) => {
                (self.loaded, self.seen, self.refused) = (loaded, now, None);
                true
            }
            // Tried again with the next look: a mode is mended without a newer file.
            Err(error) => {
                let reason = Some(error.to_string());
                if self.refused != reason {
                    self.refused = reason;
                    tracing::error!("new certificates not loaded, the old ones stay in force: {error}");
                }
                false
            }
        }
    }
}

fn modified(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    let at = |file: &PathBuf| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    files.iter().map(at).collect()
}
