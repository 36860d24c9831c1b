//! Certificates, two ends of a handshake, and records between them.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use gridway_pki::{Authority, CertificateRequest, Issued, Revoked, Validity};
use gridway_tunnel::buffer::HEADER_LEN;
use gridway_tunnel::credentials::PemFiles;
use gridway_tunnel::record::record_len;
use gridway_tunnel::{
    CredentialError, Credentials, Established, Handshake, HandshakeError, Opened, Progress, RecordBuffer,
    RecordError, RecordLayer,
};
use gridway_wire::frame::FrameType;

pub(crate) const A: &str = "gw-a.lab.example";
pub(crate) const B: &str = "gw-b.lab.example";
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The CA of all nodes.
pub(crate) static CA: LazyLock<Authority> = LazyLock::new(|| authority("nodes"));
/// A CA that nobody trusts.
pub(crate) static FOREIGN_CA: LazyLock<Authority> = LazyLock::new(|| authority("strangers"));

fn authority(name: &str) -> Authority {
    Authority::generate(name, Validity::days(SystemTime::now(), 30)).expect("plain names and dates")
}

/// What a node's certificate says; tests change what they need.
pub(crate) fn request(name: &str) -> CertificateRequest {
    CertificateRequest {
        common_name: name.to_owned(),
        organizational_unit: None,
        dns_names: vec![name.to_owned()],
        validity: Validity::days(SystemTime::now(), 30),
        server_auth: true,
        client_auth: true,
    }
}

pub(crate) fn issue(authority: &Authority, request: &CertificateRequest) -> Issued {
    authority.issue(request).expect("the request can be expressed")
}

/// A validity that ended yesterday.
pub(crate) fn expired() -> Validity {
    let now = SystemTime::now();
    Validity { not_before: now - DAY * 3, not_after: now - DAY }
}

/// A list of revoked certificates, valid until `lifetime` from `this_update`.
pub(crate) fn crl(revoked: &[&Issued], this_update: SystemTime, lifetime: Duration) -> String {
    let revoked: Vec<_> =
        revoked.iter().map(|issued| Revoked { serial: issued.serial, since: this_update }).collect();
    CA.crl(1, &revoked, this_update, lifetime).expect("the list can be expressed")
}

pub(crate) fn load(own: &Issued, name: &str, crl: Option<&str>) -> Result<Credentials, CredentialError> {
    let files = PemFiles {
        ca: CA.certificate_pem().as_bytes(),
        certificate: own.certificate_pem.as_bytes(),
        private_key: own.key_pem.as_bytes(),
        crl: crl.map(str::as_bytes),
    };
    Credentials::from_pem(&files, name)
}

/// Proper credentials of a node.
pub(crate) fn credentials(name: &str) -> Credentials {
    load(&issue(&CA, &request(name)), name, None).expect("they are proper")
}

pub(crate) type Outcome = Result<Box<Established>, HandshakeError>;

/// One end of a handshake.
pub(crate) struct End {
    pub(crate) handshake: Handshake,
    /// Set once it is over.
    pub(crate) outcome: Option<Outcome>,
    /// What arrived behind the outcome.
    pub(crate) later: Vec<u8>,
}

impl End {
    pub(crate) fn dial(credentials: &Credentials, name: &str) -> Self {
        let mut end = Self::new(Handshake::dial(credentials, name).expect("a DNS name"));
        end.receive(&[], 1);
        end
    }

    pub(crate) fn accept(credentials: &Credentials) -> Self {
        Self::new(Handshake::accept(credentials).expect("rustls takes the configuration"))
    }

    fn new(handshake: Handshake) -> Self {
        Self { handshake, outcome: None, later: Vec::new() }
    }

    /// Takes in `bytes`, at most `piece` at a time.
    pub(crate) fn receive(&mut self, bytes: &[u8], piece: usize) {
        let mut rest = bytes;
        loop {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            rest = later;
            if self.outcome.is_some() {
                self.later.extend(now);
            } else {
                match self.handshake.handle_input(now) {
                    Ok(Progress::Blocked) => {}
                    Ok(Progress::Done(established)) => self.outcome = Some(Ok(established)),
                    Err(error) => self.outcome = Some(Err(error)),
                }
            }
            if rest.is_empty() {
                return;
            }
        }
    }

    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(self.handshake.output())
    }

    /// The connection, and the bytes that belong to it already.
    pub(crate) fn established(self) -> (Box<Established>, Vec<u8>) {
        let mut established = match self.outcome {
            Some(Ok(established)) => established,
            Some(Err(error)) => panic!("{error}"),
            None => panic!("the handshake is not over"),
        };
        let mut bytes = std::mem::take(&mut established.leftover);
        bytes.extend(self.later);
        (established, bytes)
    }

    pub(crate) fn error(self) -> HandshakeError {
        match self.outcome {
            Some(Err(error)) => error,
            Some(Ok(established)) => panic!("it succeeded: {:?}", established.identity),
            None => panic!("the handshake is not over"),
        }
    }
}

/// Carries bytes between two ends until neither has anything to say.
pub(crate) fn converse(dial: &mut End, accept: &mut End, piece: usize) {
    loop {
        let (there, back) = (dial.take_output(), accept.take_output());
        if there.is_empty() && back.is_empty() {
            return;
        }
        if !there.is_empty() {
            accept.receive(&there, piece);
        }
        if !back.is_empty() {
            dial.receive(&back, piece);
        }
    }
}

/// The record layers of a dialler and of an acceptor.
pub(crate) fn layers() -> (RecordLayer, RecordLayer) {
    let (mut dial, mut accept) = (End::dial(&credentials(A), B), End::accept(&credentials(B)));
    converse(&mut dial, &mut accept, usize::MAX);
    let ((dial, none), (accept, also_none)) = (dial.established(), accept.established());
    assert!(none.is_empty() && also_none.is_empty(), "there are no tickets");
    (dial.records, accept.records)
}

/// A record whose plaintext is one frame with this body.
pub(crate) fn record(body: &[u8]) -> RecordBuffer {
    let mut record = RecordBuffer::new();
    record
        .push_frames(|writer| {
            writer.frame(FrameType::Unknown(200), 0, body.len()).map(|room| room.copy_from_slice(body))
        })
        .expect("the body fits a record");
    record
}

/// Seals one frame with this body: plaintext and record.
pub(crate) fn seal(layer: &mut RecordLayer, body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut record = record(body);
    let plaintext = record.plaintext().to_vec();
    layer.seal(&mut record).expect("a record of legal size");
    (plaintext, record.sealed().to_vec())
}

/// A key update as a record.
pub(crate) fn update(layer: &mut RecordLayer) -> Vec<u8> {
    let mut record = RecordBuffer::new();
    layer.update_key(&mut record).expect("rustls derives the key");
    record.sealed().to_vec()
}

/// What the records in `bytes` hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Plaintext of frames, joined.
    pub(crate) frames: Vec<u8>,
    /// Records the layer dealt with itself.
    pub(crate) internal: usize,
    /// Key updates that are owed.
    pub(crate) updates_requested: usize,
    /// The peer closed in order.
    pub(crate) closed: bool,
}

/// Opens every record in `bytes`.
pub(crate) fn open(layer: &mut RecordLayer, mut bytes: &[u8]) -> Result<Contents, RecordError> {
    let mut contents = Contents::default();
    while let Some(length) = record_len(bytes)? {
        let mut record = bytes[..length].to_vec();
        bytes = &bytes[length..];
        match layer.open(&mut record)? {
            Opened::Frames(length) => contents.frames.extend(&record[HEADER_LEN..HEADER_LEN + length]),
            Opened::Internal { update_requested } => {
                contents.internal += 1;
                contents.updates_requested += usize::from(update_requested);
            }
            Opened::CloseNotify => contents.closed = true,
        }
    }
    assert!(bytes.is_empty(), "part of a record is left");
    Ok(contents)
}
