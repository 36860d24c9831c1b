//! A node's own certificate and key, and what it trusts: checked once, then used for every handshake.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::ALPN;
use crate::identity::{IdentityError, PeerIdentity};
use crate::terms::{self, Part, Term};

/// Why a node's credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A PEM file holds no usable item of the kind.
    #[error("{what}: {reason}")]
    Pem {
        /// The item: `ca`, `certificate`, `private_key` or `crl`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The private key is not the one the certificate was issued for.
    #[error("private_key does not belong to certificate: {0}")]
    KeyMismatch(rustls::Error),
    /// The own certificate is not what a peer would accept.
    #[error("own certificate: {0}")]
    Identity(#[from] IdentityError),
    /// The own certificate does not chain to the CA, has expired or is revoked.
    #[error("own certificate is not valid under ca: {0}")]
    Chain(rustls::Error),
    /// rustls refuses the trust anchors or revocation lists.
    #[error("trust material: {0}")]
    Verifier(String),
}

/// The PEM texts that make up a node's credentials.
#[derive(Clone, Copy, Debug)]
pub struct PemFiles<'a> {
    /// Certificates of the domain's CA.
    pub ca: &'a [u8],
    /// The node's certificate, then intermediates.
    pub certificate: &'a [u8],
    /// The node's private key.
    pub private_key: &'a [u8],
    /// Revocation lists; `None` when revocation is not used.
    pub crl: Option<&'a [u8]>,
}

/// Credentials that were verified against themselves: chain, name, key and revocation.
#[derive(Debug)]
pub struct Credentials {
    provider: Arc<CryptoProvider>,
    own: Arc<SingleCertAndKey>,
    identity: PeerIdentity,
    server_verifier: Arc<WebPkiServerVerifier>,
    client_verifier: Arc<dyn ClientCertVerifier>,
    revoked: Revoked,
    terms: Vec<Term>,
}

impl Credentials {
    /// Parses and verifies the credentials of the node with the DNS name `own_name`.
    ///
    /// # Errors
    /// [`CredentialError`] says which item is wrong and why.
    pub fn from_pem(files: &PemFiles<'_>, own_name: &str) -> Result<Self, CredentialError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        let authorities = certificates("ca", files.ca)?;
        let mut terms: Vec<Term> =
            authorities.iter().filter_map(|der| terms::of_certificate(Part::Ca, der, None)).collect();
        for root in authorities {
            roots.add(root).map_err(|error| pem("ca", &error))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates("certificate", files.certificate)?;
        let key =
            PrivateKeyDer::from_pem_slice(files.private_key).map_err(|error| pem("private_key", &error))?;
        let crls = revocation_lists(files.crl)?;
        let revoked = revoked_certificates(&crls)?;
        terms.extend(crls.iter().filter_map(terms::of_list));
        terms.extend(terms::of_certificate(Part::Certificate, &chain[0], Some(own_name)));
        let intermediates = chain[1..].iter();
        terms.extend(intermediates.filter_map(|der| terms::of_certificate(Part::Intermediate, der, None)));

        let verifier_error = |error: &dyn std::fmt::Display| CredentialError::Verifier(error.to_string());
        let mut server = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone());
        let mut client = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        if !crls.is_empty() {
            server = server
                .with_crls(crls.clone())
                .only_check_end_entity_revocation()
                .enforce_revocation_expiration();
            client =
                client.with_crls(crls).only_check_end_entity_revocation().enforce_revocation_expiration();
        }
        let server_verifier = server.build().map_err(|error| verifier_error(&error))?;
        let client_verifier = client.build().map_err(|error| verifier_error(&error))?;

        let leaf = chain[0].clone();
        let identity = PeerIdentity::from_der(&leaf)?;
        if identity.dns_name != own_name.to_ascii_lowercase() {
            let found = identity.dns_name;
            return Err(IdentityError::OtherName { found, expected: own_name.to_owned() }.into());
        }
        client_verifier
            .verify_client_cert(&leaf, &chain[1..], UnixTime::now())
            .map_err(CredentialError::Chain)?;
        let certified =
            CertifiedKey::from_der(chain, key, &provider).map_err(CredentialError::KeyMismatch)?;
        let own = Arc::new(SingleCertAndKey::from(certified));
        Ok(Self { provider, own, identity, server_verifier, client_verifier, revoked, terms })
    }

    /// The identity that the own certificate proves.
    #[must_use]
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// For how long its parts are good.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether a live peer must go: its certificate is revoked or has ended.
    #[must_use]
    pub fn rejects(&self, peer: &PeerIdentity, now: SystemTime) -> Option<&'static str> {
        if self.revoked.contains(&(peer.issuer.clone(), peer.serial.clone())) {
            Some("certificate revoked")
        } else if peer.not_after <= now {
            Some("certificate expired")
        } else {
            None
        }
    }

    /// TLS 1.3 only, client certificate mandatory, no tickets, no resumption, no early data: a ticket
    /// would carry a revoked peer's chain past verification.
    pub(crate) fn server_config(&self, seen: &Presented) -> Result<ServerConfig, rustls::Error> {
        let verifier = RecordingClientVerifier { inner: self.client_verifier.clone(), seen: seen.clone() };
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.enable_secret_extraction = true;
        Ok(config)
    }

    pub(crate) fn client_config(&self, seen: &Presented) -> Result<ClientConfig, rustls::Error> {
        let verifier = RecordingServerVerifier { inner: self.server_verifier.clone(), seen: seen.clone() };
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        config.enable_secret_extraction = true;
        Ok(config)
    }
}

fn pem(what: &'static str, reason: &dyn std::fmt::Display) -> CredentialError {
    CredentialError::Pem { what, reason: reason.to_string() }
}

fn certificates(what: &'static str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let found = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem(what, &error))?;
    if found.is_empty() {
        return Err(pem(what, &"no certificate found"));
    }
    Ok(found)
}

fn revocation_lists(
    text: Option<&[u8]>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, CredentialError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let found = CertificateRevocationListDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem("crl", &error))?;
    if found.is_empty() {
        return Err(pem("crl", &"no revocation list found"));
    }
    Ok(found)
}

/// Issuer (DER) and serial number of every revoked certificate.
type Revoked = HashSet<(Vec<u8>, Vec<u8>)>;

fn revoked_certificates(lists: &[CertificateRevocationListDer<'static>]) -> Result<Revoked, CredentialError> {
    let mut certificates = HashSet::new();
    for list in lists {
        let (_, list) = CertificateRevocationList::from_der(list).map_err(|error| pem("crl", &error))?;
        let issuer = list.issuer().as_raw();
        let serials = list.iter_revoked_certificates().map(|revoked| revoked.raw_serial());
        certificates.extend(serials.map(|serial| (issuer.to_vec(), serial.to_vec())));
    }
    Ok(certificates)
}

/// The end-entity certificate a peer showed, kept even when it is refused: the log names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presented(Arc<Mutex<Option<CertificateDer<'static>>>>);

impl Presented {
    fn set(&self, certificate: &CertificateDer<'_>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate.clone().into_owned());
    }

    pub(crate) fn get(&self) -> Option<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
struct RecordingClientVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    seen: Presented,
}

impl ClientCertVerifier for RecordingClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.seen.set(end_entity);
        self.inner.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[derive(Debug)]
struct RecordingServerVerifier {
    inner: Arc<WebPkiServerVerifier>,
    seen: Presented,
}

impl ServerCertVerifier for RecordingServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.set(end_entity);
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
