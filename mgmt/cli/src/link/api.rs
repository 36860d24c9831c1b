//! HTTPS to the management process of a node, with certificates on both sides.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gridway_config::check_private_key;
use gridway_control::{
    CodecError, End, Failure, FailureKind, Killed, MAX_REPLY, Reply, Request, decode_reply,
};
use thiserror::Error;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

use super::call::{Call, Method};

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest silence of the API while it is expected to answer: it waits 10 s for its node.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest message of a refusal that is read.
const MAX_REFUSAL: u64 = 1024 * 1024;

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

/// Why the API gave no answer.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// A file that cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Not `HOST:PORT`.
    #[error("found API address {0:?}, expected HOST:PORT")]
    Address(String),
    /// Nobody listens there, the name in the certificate is another one, or the connection broke.
    #[error("cannot reach the management API at {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// The API does not take this certificate.
    #[error(
        "the management API at {address} refused the connection: {reason}; is the certificate of an operator, and in force?"
    )]
    CertificateRefused {
        /// Where.
        address: String,
        /// The alert it sent.
        reason: String,
    },
    /// The management process runs and cannot reach its node.
    #[error("the management API cannot reach its node: {0}")]
    NodeUnreachable(String),
    /// The node or the management process refused.
    #[error("the node refused: {0}")]
    Refused(Failure),
    /// Refused for another reason: the role is too low, or too many requests.
    #[error("the management API refused: {message} (HTTP status {status})")]
    Status {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The answer could not be understood.
    #[error("the management API's answer: {0}")]
    Codec(#[from] CodecError),
    /// The answer is to another request.
    #[error("the management API answered with another kind of reply than was asked for")]
    Mismatch,
}

impl ApiError {
    /// As [`super::LinkError::exit_status`].
    pub(super) fn exit_status(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Status { .. } | Self::CertificateRefused { .. } => 1,
            Self::File { .. } | Self::Address(_) => 2,
            Self::Unreachable { .. } | Self::NodeUnreachable(_) | Self::Codec(_) | Self::Mismatch => 3,
        }
    }
}

/// A management API.
pub(crate) struct Api {
    agent: Agent,
    /// `https://NAME:PORT`; the name is the one in the certificate.
    origin: String,
    /// As it was given, for messages.
    address: String,
}

impl Api {
    /// Reads the credentials; connects with the first request. The certificate must name `name`, or else the host.
    ///
    /// # Errors
    /// [`ApiError::File`], [`ApiError::Address`].
    pub(crate) fn new(
        address: &str,
        credentials: &Credentials,
        name: Option<&str>,
    ) -> Result<Self, ApiError> {
        let bad = || ApiError::Address(address.to_owned());
        let at: Uri = format!("https://{address}/").parse().map_err(|_| bad())?;
        let authority =
            at.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
        let port = authority.port_u16().ok_or_else(bad)?;
        let origin = format!("https://{}:{port}", name.unwrap_or(authority.host()));
        let _valid: Uri = origin.parse().map_err(|_| ApiError::Address(origin.clone()))?;
        let config = Agent::config_builder()
            .tls_config(credentials.tls()?)
            .https_only(true)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("gridway/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_write(Some(PATIENCE))
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), At(at.clone()));
        Ok(Self { agent, origin, address: address.to_owned() })
    }

    /// As [`super::Link::ask`].
    pub(super) fn ask(&self, request: &Request) -> Result<Reply, ApiError> {
        let mut replies = Call::of(request).into_iter().map(|call| self.answer(&call));
        let reply = match request {
            Request::KillSessions { .. } => Reply::Killed(Killed::Sessions(killed(replies)?)),
            _ => replies.next().expect("every other request is one call")?,
        };
        if request.is_answered_by(&reply) { Ok(reply) } else { Err(ApiError::Mismatch) }
    }

    /// As [`super::Link::follow`].
    pub(super) fn follow(
        &self,
        request: &Request,
        mut row: impl FnMut(Reply) -> ControlFlow<()>,
    ) -> Result<Option<End>, ApiError> {
        let call = Call::of(request).remove(0);
        // The node keeps the time: rows may be far apart.
        let response = self.call(&call, None)?;
        let mut lines = BufReader::new(response.into_body().into_reader());
        loop {
            let mut line = Vec::new();
            let read = (&mut lines).take(MAX_REPLY as u64 + 1).read_until(b'\n', &mut line);
            if read.map_err(|error| self.lost(&error))? == 0 {
                return Err(self.unreachable("the list ended early".to_owned()));
            }
            match decode_reply(&line)? {
                Reply::End(end) => return Ok(Some(end)),
                Reply::Error(failure) => return Err(ApiError::Refused(failure)),
                reply if request.is_answered_by(&reply) => {
                    if row(reply).is_break() {
                        return Ok(None);
                    }
                }
                _ => return Err(ApiError::Mismatch),
            }
        }
    }

    /// The reply whose value is in the body.
    fn answer(&self, call: &Call) -> Result<Reply, ApiError> {
        let response = self.call(call, Some(PATIENCE))?;
        let mut line = format!("{{\"reply\":\"{}\",\"value\":", call.reply).into_bytes();
        let mut body = response.into_body().into_reader().take(MAX_REPLY as u64);
        body.read_to_end(&mut line).map_err(|error| self.lost(&error))?;
        line.push(b'}');
        Ok(decode_reply(&line)?)
    }

    /// Makes a call that must succeed.
    fn call(&self, call: &Call, patience: Option<Duration>) -> Result<Response<Body>, ApiError> {
        let url = format!("{}{}", self.origin, call.path);
        let query = call.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let sent = match call.method {
            Method::Get => {
                self.agent.get(&url).query_pairs(query).config().timeout_per_read(patience).build().call()
            }
            Method::Delete => {
                self.agent.delete(&url).query_pairs(query).config().timeout_per_read(patience).build().call()
            }
            Method::Post => {
                let post = self.agent.post(&url).content_type("application/json");
                let body = call.body.as_deref().unwrap_or_default();
                post.config().timeout_per_read(patience).build().send(body)
            }
        };
        let response = sent.map_err(|error| self.failed(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response)) }
    }

    fn failed(&self, error: &ureq::Error) -> ApiError {
        match error {
            ureq::Error::Rustls(error) => self.not_agreed(error),
            ureq::Error::Io(error) => self.lost(error),
            other => self.unreachable(other.to_string()),
        }
    }

    /// The connection broke; with TLS 1.3 a certificate is refused only after the client is content.
    fn lost(&self, error: &io::Error) -> ApiError {
        let within = |error: &io::Error| {
            let inner = error.get_ref()?;
            let tls = inner.downcast_ref::<rustls::Error>();
            tls.or_else(|| inner.source()?.downcast_ref()).cloned()
        };
        match within(error) {
            Some(error) => self.not_agreed(&error),
            None => self.unreachable(error.to_string()),
        }
    }

    fn not_agreed(&self, error: &rustls::Error) -> ApiError {
        match error {
            rustls::Error::AlertReceived(alert) => {
                ApiError::CertificateRefused { address: self.address.clone(), reason: format!("{alert:?}") }
            }
            other => self.unreachable(format!("{other}; --api-name says whose certificate it should be")),
        }
    }

    fn unreachable(&self, reason: String) -> ApiError {
        ApiError::Unreachable { address: self.address.clone(), reason }
    }
}

/// How many sessions were ended; one that does not exist is none.
fn killed(replies: impl Iterator<Item = Result<Reply, ApiError>>) -> Result<u64, ApiError> {
    let mut count = 0;
    for reply in replies {
        match reply {
            Ok(Reply::Killed(Killed::Sessions(ended))) => count += ended,
            Ok(_) => return Err(ApiError::Mismatch),
            Err(ApiError::Refused(failure)) if failure.kind == FailureKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// What a status other than success means.
fn refusal(response: Response<Body>) -> ApiError {
    const NODE_UNREACHABLE: u16 = 502;
    const OWN: [u16; 2] = [403, 429];
    let status = response.status().as_u16();
    let mut body = Vec::new();
    // What was read of a body that breaks off still says more than nothing.
    let _read = response.into_body().into_reader().take(MAX_REFUSAL).read_to_end(&mut body);
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = match value["message"].as_str() {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(&body).trim().to_owned(),
    };
    match serde_json::from_value::<Failure>(value) {
        _ if status == NODE_UNREACHABLE => ApiError::NodeUnreachable(message),
        Ok(failure) if !OWN.contains(&status) => ApiError::Refused(failure),
        _ => ApiError::Status { status, message },
    }
}

impl Credentials {
    fn tls(&self) -> Result<TlsConfig, ApiError> {
        let at = |path: &Path, reason: String| ApiError::File { path: path.to_owned(), reason };
        check_private_key(&self.private_key).map_err(|error| at(&self.private_key, error.to_string()))?;
        let key_pem =
            fs::read(&self.private_key).map_err(|error| at(&self.private_key, error.to_string()))?;
        let key = PrivateKey::from_pem(&key_pem).map_err(|error| at(&self.private_key, error.to_string()))?;
        let chain = ClientCert::new_with_certs(&certificates(&self.certificate)?, key);
        Ok(TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&certificates(&self.ca)?))
            .client_cert(Some(chain))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build())
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

/// Where the API is, whatever name its certificate has.
#[derive(Debug)]
struct At(Uri);

impl Resolver for At {
    fn resolve(
        &self,
        _named: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        DefaultResolver::default().resolve(&self.0, config, timeout)
    }
}
