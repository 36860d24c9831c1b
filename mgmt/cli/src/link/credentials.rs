//! Who asks a management API, and whom: the files of `--ca`, `--cert` and `--key`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridway_config::check_private_key;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider};

use super::ApiError;

/// Files that prove who asks, and whom.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// Authority of the API's certificate.
    pub(crate) ca: PathBuf,
    /// Certificate of the operator.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) private_key: PathBuf,
}

impl Credentials {
    /// TLS with them.
    ///
    /// # Errors
    /// [`ApiError::File`], [`ApiError::Key`].
    pub(super) fn tls(&self) -> Result<TlsConfig, ApiError> {
        let at = |path: &Path, reason: String| ApiError::File { path: path.to_owned(), reason };
        check_private_key(&self.private_key)?;
        let key_pem =
            fs::read(&self.private_key).map_err(|error| at(&self.private_key, error.to_string()))?;
        let key = PrivateKey::from_pem(&key_pem).map_err(|error| at(&self.private_key, error.to_string()))?;
        let chain = certificates(&self.certificate)?;
        self.check_pair(&chain, &key_pem)?;
        let chain = ClientCert::new_with_certs(&chain, key);
        Ok(TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&certificates(&self.ca)?))
            .client_cert(Some(chain))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build())
    }

    /// Whether the key is that of the certificate.
    fn check_pair(&self, chain: &[Certificate<'_>], key_pem: &[u8]) -> Result<(), ApiError> {
        let at = |reason: String| ApiError::File { path: self.private_key.clone(), reason };
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| at(error.to_string()))?;
        let chain = chain.iter().map(|certificate| certificate.der().to_vec().into()).collect();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        CertifiedKey::from_der(chain, key, &provider)
            .map(|_| ())
            .map_err(|error| at(format!("it is not the key of {}: {error}", self.certificate.display())))
    }
}

/// Every certificate of a file.
fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, ApiError> {
    let at = |reason: String| ApiError::File { path: path.to_owned(), reason };
    let pem = fs::read(path).map_err(|error| at(error.to_string()))?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| at(error.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(at("no certificate in it".to_owned())) } else { Ok(found) }
}
