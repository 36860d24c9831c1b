//! A node's credentials, read from the files that its configuration names.

use std::io;
use std::path::{Path, PathBuf};

use gridway_config::{Config, KeyFileError, check_private_key};
use gridway_tunnel::credentials::PemFiles;
use gridway_tunnel::{CredentialError, Credentials};

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadCredentialsError {
    /// The private key's file is not its owner's alone.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// What is in the files does not make credentials.
    #[error("identity: {0}")]
    Credentials(#[from] CredentialError),
}

/// Reads and verifies the credentials that `config` names.
///
/// # Errors
/// [`ReadCredentialsError`]: the first thing that is wrong.
pub fn read_credentials(config: &Config) -> Result<Credentials, ReadCredentialsError> {
    let identity = &config.identity;
    check_private_key(&identity.private_key)?;
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| ReadCredentialsError::File { path: path.to_owned(), source })
    };
    let (ca, certificate, private_key) =
        (read(&identity.ca)?, read(&identity.certificate)?, read(&identity.private_key)?);
    let crl = identity.crl.as_deref().map(read).transpose()?;
    let files =
        PemFiles { ca: &ca, certificate: &certificate, private_key: &private_key, crl: crl.as_deref() };
    Ok(Credentials::from_pem(&files, &own_name(config))?)
}

/// The one name that the node's certificate has.
pub(crate) fn own_name(config: &Config) -> String {
    format!("{}.{}", config.node.name, config.node.domain)
}
