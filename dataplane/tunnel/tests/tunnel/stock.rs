//! A peer that is plain rustls, configured as a test wants it.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use gridway_pki::Issued;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

use crate::support::{CA, End};

/// A rustls connection, and the error it ended with.
pub(crate) struct Stock {
    pub(crate) connection: Connection,
    pub(crate) error: Option<rustls::Error>,
    pub(crate) read: Vec<u8>,
}

/// What differs between tests.
pub(crate) struct Options<'a> {
    pub(crate) own: Option<&'a Issued>,
    pub(crate) version: &'static SupportedProtocolVersion,
    pub(crate) alpn: &'a [&'a [u8]],
}

impl<'a> Options<'a> {
    /// What a node would use.
    pub(crate) fn with(own: &'a Issued) -> Self {
        Self { own: Some(own), version: &rustls::version::TLS13, alpn: &[gridway_tunnel::ALPN] }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(CA.certificate_pem().as_bytes()).expect("a certificate");
    roots.add(root).expect("a CA certificate");
    roots
}

fn chain(own: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_slice(own.certificate_pem.as_bytes()).expect("a certificate");
    (vec![certificate], PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).expect("a key"))
}

impl Stock {
    /// A client that dials `name`.
    pub(crate) fn client(options: &Options<'_>, name: &str) -> Self {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[options.version])
            .expect("a version")
            .with_root_certificates(roots());
        let mut config = match options.own.map(chain) {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("they belong together"),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = options.alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).expect("a DNS name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a valid configuration");
        Self::new(connection.into())
    }

    /// A server that asks for client certificates of the CA and sends tickets.
    pub(crate) fn server(options: &Options<'_>) -> Self {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots()), provider())
            .build()
            .expect("roots");
        let (chain, key) = chain(options.own.expect("a server has a certificate"));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[options.version])
            .expect("a version")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("they belong together");
        config.alpn_protocols = options.alpn.iter().map(|name| name.to_vec()).collect();
        Self::new(ServerConnection::new(Arc::new(config)).expect("a valid configuration").into())
    }

    fn new(connection: Connection) -> Self {
        Self { connection, error: None, read: Vec::new() }
    }

    pub(crate) fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.error.is_none() {
            self.connection.read_tls(&mut bytes).expect("a slice is always read");
            if let Err(error) = self.connection.process_new_packets() {
                self.error = Some(error);
            }
            match self.connection.reader().read_to_end(&mut self.read) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
    }

    pub(crate) fn send(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.connection.writer().write_all(plaintext).expect("the buffer is large enough");
        self.take_output()
    }

    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes).expect("a vector takes everything");
        }
        bytes
    }
}

/// Carries bytes between one of our ends and a stock one until neither has anything to say.
pub(crate) fn converse(ours: &mut End, stock: &mut Stock) {
    loop {
        let (there, back) = (ours.take_output(), stock.take_output());
        if there.is_empty() && back.is_empty() {
            return;
        }
        stock.receive(&there);
        if !back.is_empty() {
            ours.receive(&back, usize::MAX);
        }
    }
}
