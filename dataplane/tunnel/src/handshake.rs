//! The TLS 1.3 handshake, sans-I/O.

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};

use crate::ALPN;
use crate::credentials::{Credentials, Presented};
use crate::identity::{IdentityError, PeerIdentity, claimed_names};
use crate::record::{RecordError, RecordLayer, record_len};

/// Most bytes a peer may send before its handshake is complete: two certificate chains' worth.
const INPUT_LIMIT: usize = 64 * 1024;

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// rustls refused what the peer sent or showed, or the peer refused us.
    #[error("{0}")]
    Tls(rustls::Error),
    /// The bytes are not TLS records.
    #[error("not TLS: {0}")]
    Framing(#[from] RecordError),
    /// The peer sent more than any handshake needs.
    #[error("handshake input exceeds {INPUT_LIMIT} bytes")]
    TooMuchInput,
    /// The chain is valid, the identity is not.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// The peer did not select our application protocol.
    #[error("peer does not speak gridway/1")]
    Protocol,
    /// The peer closed before the handshake was complete.
    #[error("peer closed during the handshake")]
    Closed,
    /// The name to dial is not a DNS name.
    #[error("{0} is not a DNS name")]
    BadName(String),
}

/// How far a handshake has come after input was handled.
#[derive(Debug)]
pub enum Progress {
    /// More input is needed. Output may be waiting.
    Blocked,
    /// Both sides are verified. Output may still be waiting.
    Done(Box<Established>),
}

/// A connection whose handshake is complete.
#[derive(Debug)]
pub struct Established {
    /// Record protection under the negotiated keys.
    pub records: RecordLayer,
    /// What the peer's certificate proves, or why it is not a node's. Judged after the handshake so
    /// that the refusal can be told to the peer in words.
    pub identity: Result<PeerIdentity, IdentityError>,
    /// Bytes that arrived behind the handshake: the start of the record stream.
    pub leftover: Vec<u8>,
}

enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// One side of a handshake under way.
pub struct Handshake {
    side: Option<Side>,
    presented: Presented,
    input: Vec<u8>,
    /// Bytes at the front of `input` that are whole records already shown to rustls. Records are
    /// shown one by one, so that nothing behind the handshake is opened under rustls' own count.
    shown: usize,
    output: Vec<u8>,
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake").field("presented", &self.claimed_names()).finish_non_exhaustive()
    }
}

enum Step {
    Continue,
    NeedRecord,
}

impl Handshake {
    /// Dials a peer that must prove to be `dns_name`.
    ///
    /// # Errors
    /// [`HandshakeError::BadName`], or [`HandshakeError::Tls`] if rustls refuses the configuration.
    pub fn dial(credentials: &Credentials, dns_name: &str) -> Result<Self, HandshakeError> {
        let name = ServerName::try_from(dns_name.to_owned())
            .map_err(|_| HandshakeError::BadName(dns_name.to_owned()))?;
        let presented = Presented::default();
        let config = credentials.client_config(&presented).map_err(HandshakeError::Tls)?;
        let connection = UnbufferedClientConnection::new(config.into(), name).map_err(HandshakeError::Tls)?;
        Ok(Self::new(Side::Client(connection), presented))
    }

    /// Answers a peer that dialled.
    ///
    /// # Errors
    /// [`HandshakeError::Tls`] if rustls refuses the configuration.
    pub fn accept(credentials: &Credentials) -> Result<Self, HandshakeError> {
        let presented = Presented::default();
        let config = credentials.server_config(&presented).map_err(HandshakeError::Tls)?;
        let connection = UnbufferedServerConnection::new(config.into()).map_err(HandshakeError::Tls)?;
        Ok(Self::new(Side::Server(connection), presented))
    }

    fn new(side: Side, presented: Presented) -> Self {
        Self { side: Some(side), presented, input: Vec::new(), shown: 0, output: Vec::new() }
    }

    /// Names in the certificate the peer showed, verified or not: for log lines only.
    #[must_use]
    pub fn claimed_names(&self) -> Vec<String> {
        self.presented.get().map(|certificate| claimed_names(&certificate)).unwrap_or_default()
    }

    /// Bytes to send, in order. The caller takes them out of the vector as the socket accepts them;
    /// after an error they hold the alert that tells the peer.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Handles bytes received; empty input starts a dialled handshake.
    ///
    /// # Errors
    /// [`HandshakeError`]; the handshake is then over.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        if self.input.len() + bytes.len() > INPUT_LIMIT {
            return Err(HandshakeError::TooMuchInput);
        }
        self.input.extend_from_slice(bytes);
        loop {
            match self.step()? {
                Step::Continue => {}
                Step::NeedRecord => {
                    if self.is_complete() {
                        return self.finish();
                    }
                    match record_len(&self.input[self.shown..])? {
                        Some(len) if self.input.len() - self.shown >= len => self.shown += len,
                        _ => return Ok(Progress::Blocked),
                    }
                }
            }
        }
    }

    fn is_complete(&self) -> bool {
        let handshaking = match self.side.as_ref().expect("the side is there until the handshake is done") {
            Side::Client(connection) => connection.is_handshaking(),
            Side::Server(connection) => connection.is_handshaking(),
        };
        !handshaking && self.shown == 0
    }

    fn step(&mut self) -> Result<Step, HandshakeError> {
        let input = &mut self.input[..self.shown];
        let output = &mut self.output;
        let (discard, result) =
            match self.side.as_mut().expect("the side is there until the handshake is done") {
                Side::Client(connection) => handle(connection.process_tls_records(input), output),
                Side::Server(connection) => handle(connection.process_tls_records(input), output),
            };
        self.input.drain(..discard);
        self.shown -= discard;
        match result {
            Ok(step) => Ok(step),
            Err(error) => {
                // Whoever sent an alert gets none.
                if !matches!(error, HandshakeError::Tls(rustls::Error::AlertReceived(_))) {
                    self.collect_alert();
                }
                Err(error)
            }
        }
    }

    /// After an error rustls still has an alert to send; it tells the peer why. Only asked while there
    /// is something to send, because then rustls does not look at its input again.
    fn collect_alert(&mut self) {
        let Self { side, input, shown, output, .. } = self;
        loop {
            let input = &mut input[..*shown];
            let (_, outcome) = match side {
                Some(Side::Client(connection)) if connection.wants_write() => {
                    handle(connection.process_tls_records(input), output)
                }
                Some(Side::Server(connection)) if connection.wants_write() => {
                    handle(connection.process_tls_records(input), output)
                }
                _ => return,
            };
            if !matches!(outcome, Ok(Step::Continue)) {
                return;
            }
        }
    }

    fn finish(&mut self) -> Result<Progress, HandshakeError> {
        let (alpn, certificate) = match self.side.as_ref().expect("a handshake finishes once") {
            Side::Client(connection) => (connection.alpn_protocol(), leaf(connection.peer_certificates())),
            Side::Server(connection) => (connection.alpn_protocol(), leaf(connection.peer_certificates())),
        };
        if alpn != Some(ALPN) {
            return Err(HandshakeError::Protocol);
        }
        let identity = match certificate {
            Some(certificate) => PeerIdentity::from_der(&certificate),
            None => return Err(HandshakeError::Tls(rustls::Error::NoCertificatesPresented)),
        };
        let records = match self.side.take().expect("it was there a moment ago") {
            Side::Client(connection) => {
                let (secrets, kernel) =
                    connection.dangerous_into_kernel_connection().map_err(HandshakeError::Tls)?;
                RecordLayer::client(&secrets, kernel)?
            }
            Side::Server(connection) => {
                let (secrets, kernel) =
                    connection.dangerous_into_kernel_connection().map_err(HandshakeError::Tls)?;
                RecordLayer::server(&secrets, kernel)?
            }
        };
        let leftover = std::mem::take(&mut self.input);
        Ok(Progress::Done(Box::new(Established { records, identity, leftover })))
    }
}

fn leaf(chain: Option<&[CertificateDer<'static>]>) -> Option<CertificateDer<'static>> {
    chain.and_then(|chain| chain.first()).cloned()
}

fn handle<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    output: &mut Vec<u8>,
) -> (usize, Result<Step, HandshakeError>) {
    let UnbufferedStatus { discard, state, .. } = status;
    let step = match state {
        Err(error) => Err(HandshakeError::Tls(error)),
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            let start = output.len();
            let needed = match data.encode(&mut []) {
                Err(EncodeError::InsufficientSize(size)) => size.required_size,
                Err(EncodeError::AlreadyEncoded) | Ok(_) => 0,
            };
            output.resize(start + needed, 0);
            let written = data.encode(&mut output[start..]).unwrap_or(0);
            output.truncate(start + written);
            Ok(Step::Continue)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Continue)
        }
        Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => Ok(Step::NeedRecord),
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Err(HandshakeError::Closed),
        // Application data is not shown to rustls, early data is not accepted.
        Ok(_) => Err(HandshakeError::Protocol),
    };
    (discard, step)
}
