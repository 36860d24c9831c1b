//! The API's own certificate, and whom it trusts.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gridway_config::Api;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use x509_parser::prelude::{CertificateRevocationList, FromDer, GeneralName, X509Certificate};

use crate::server::operator::{Operator, Roots};

/// Why the API's credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The key is not its owner's alone.
    #[error(transparent)]
    KeyFile(#[from] gridway_config::KeyFileError),
    /// A file holds something else than it should.
    #[error("{}: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
    /// rustls refuses what the files hold.
    #[error("api: {0}")]
    Refused(String),
}

/// The API's own certificate and key.
#[derive(Clone)]
pub(super) struct Own {
    certified: Arc<CertifiedKey>,
    node: String,
}

impl Own {
    /// Reads and checks the certificate and the key that `api` names.
    ///
    /// # Errors
    /// [`TrustError`] says which file is wrong and why.
    pub(super) fn load(api: &Api) -> Result<Self, TrustError> {
        gridway_config::check_private_key(&api.private_key)?;
        let provider = aws_lc_rs::default_provider();
        let chain = certificates(&api.certificate)?;
        let node = own_name(&chain[0]).map_err(|reason| content(&api.certificate, &reason))?;
        let key = PrivateKeyDer::from_pem_slice(&read(&api.private_key)?)
            .map_err(|error| content(&api.private_key, &error))?;
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            content(&api.private_key, &format!("does not belong to the certificate: {error}"))
        })?;
        Ok(Self { certified: Arc::new(certified), node })
    }
}

/// The operators' CA, and whom it has revoked.
#[derive(Clone)]
pub(super) struct Operators {
    roots: Arc<Roots>,
    verifier: Arc<dyn ClientCertVerifier>,
    revoked: Arc<HashSet<(Vec<u8>, Vec<u8>)>>,
    lists_end: Option<SystemTime>,
}

impl Operators {
    /// Reads and checks the CA and the revocation lists that `api` names.
    ///
    /// # Errors
    /// [`TrustError`] says which file is wrong and why.
    pub(super) fn load(api: &Api) -> Result<Self, TrustError> {
        let roots = certificates(&api.operators_ca)?;
        let mut store = RootCertStore::empty();
        for root in &roots {
            store.add(root.clone()).map_err(|error| content(&api.operators_ca, &error))?;
        }
        let (lists, revoked, lists_end) = match &api.operators_crl {
            Some(path) => revocations(path)?,
            None => (Vec::new(), HashSet::new(), None),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut clients = WebPkiClientVerifier::builder_with_provider(store.into(), provider);
        if !lists.is_empty() {
            clients =
                clients.with_crls(lists).only_check_end_entity_revocation().enforce_revocation_expiration();
        }
        let verifier = clients.build().map_err(|error| TrustError::Refused(error.to_string()))?;
        Ok(Self { roots: Arc::new(roots), verifier, revoked: Arc::new(revoked), lists_end })
    }
}

/// Credentials of the API that were checked.
pub(crate) struct Trust {
    /// What every handshake is made with.
    pub(crate) tls: Arc<ServerConfig>,
    /// First label of the DNS name in the API's certificate.
    pub(crate) node: String,
    /// The operators' CA.
    pub(super) roots: Arc<Roots>,
    revoked: Arc<HashSet<(Vec<u8>, Vec<u8>)>>,
    /// When the revocation list ends.
    lists_end: Option<SystemTime>,
}

impl Trust {
    /// What both parts make together.
    ///
    /// # Errors
    /// [`TrustError::Refused`].
    pub(super) fn new(own: Own, operators: Operators) -> Result<Self, TrustError> {
        let Operators { roots, verifier, revoked, lists_end } = operators;
        let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| TrustError::Refused(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(own.certified)));
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A ticket would carry a revoked operator's chain past verification.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        tls.max_early_data_size = 0;
        Ok(Self { tls: Arc::new(tls), node: own.node, roots, revoked, lists_end })
    }

    /// Why an operator whose connection lives may no longer ask.
    pub(crate) fn objection(&self, operator: &Operator, now: SystemTime) -> Option<&'static str> {
        if self.revoked.contains(&(operator.issuer.clone(), operator.serial.clone())) {
            Some("the certificate is revoked")
        } else if operator.roots != self.roots {
            Some("the CA of operators was replaced; connect again")
        } else if operator.not_after <= now {
            Some("the certificate has expired")
        } else if self.lists_end.is_some_and(|end| end <= now) {
            Some("the revocation list of operators has expired; renew it with `gridway pki crl --operators`")
        } else {
            None
        }
    }
}

fn content(path: &Path, reason: &dyn std::fmt::Display) -> TrustError {
    TrustError::Content { path: path.to_owned(), reason: reason.to_string() }
}

fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    std::fs::read(path).map_err(|source| TrustError::Unreadable { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let found = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(path, &error))?;
    if found.is_empty() {
        return Err(content(path, &"no certificate found"));
    }
    Ok(found)
}

/// The node's name in the API's own certificate, which must be a server's and nothing else: with both usages it would
/// open tunnels too.
fn own_name(certificate: &CertificateDer<'_>) -> Result<String, String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let usage = certificate.extended_key_usage().map_err(|error| error.to_string())?;
    if !usage.is_some_and(|usage| usage.value.server_auth && !usage.value.client_auth) {
        return Err(
            "not a certificate of a management API: its extended key usage must be serverAuth alone \
             (`gridway pki issue --node NAME --api`)"
                .to_owned(),
        );
    }
    if !certificate.validity().is_valid() {
        return Err(format!(
            "not valid now: it holds from {} to {}",
            certificate.validity().not_before,
            certificate.validity().not_after
        ));
    }
    let names = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
    match names.map(|names| &names.value.general_names[..]) {
        Some([GeneralName::DNSName(name)]) => Ok(name.split('.').next().unwrap_or_default().to_owned()),
        _ => Err("expected exactly one DNS name, <node>.<domain>".to_owned()),
    }
}

/// Lists, the issuer and serial number of all that they hold, and when the first of them ends.
type Revocations =
    (Vec<CertificateRevocationListDer<'static>>, HashSet<(Vec<u8>, Vec<u8>)>, Option<SystemTime>);

fn revocations(path: &Path) -> Result<Revocations, TrustError> {
    let lists = CertificateRevocationListDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(path, &error))?;
    if lists.is_empty() {
        return Err(content(path, &"no revocation list found"));
    }
    let (mut revoked, mut ends) = (HashSet::new(), None);
    for list in &lists {
        let (_, list) = CertificateRevocationList::from_der(list).map_err(|error| content(path, &error))?;
        let issuer = list.issuer().as_raw();
        revoked.extend(
            list.iter_revoked_certificates().map(|entry| (issuer.to_vec(), entry.raw_serial().to_vec())),
        );
        let end = list.next_update().and_then(|end| u64::try_from(end.timestamp()).ok());
        let end = end.map(|end| SystemTime::UNIX_EPOCH + Duration::from_secs(end));
        ends = ends.into_iter().chain(end).min();
    }
    Ok((lists, revoked, ends))
}
