//! TLS 1.3 record protection (RFC 8446, chapter 5) in place, on keys that rustls negotiated.
//!
//! rustls performs the handshake and derives every key, later ones too; it hands them over through
//! the interface made for kernel TLS (`rustls::kernel`). Sealing here instead of in rustls saves
//! two copies and an allocation a record. See `docs/decisions/0003-record-layer.md`.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};

use crate::buffer::{HEADER_LEN, MAX_PLAINTEXT, MAX_RECORD, RecordBuffer, TAG_LEN, TRAILER_LEN};

const CONTENT_CHANGE_CIPHER_SPEC: u8 = 20;
const CONTENT_ALERT: u8 = 21;
const CONTENT_HANDSHAKE: u8 = 22;
const CONTENT_APPLICATION: u8 = 23;
const LEGACY_VERSION: [u8; 2] = [3, 3];
const HANDSHAKE_NEW_SESSION_TICKET: u8 = 4;
const HANDSHAKE_KEY_UPDATE: u8 = 24;
const ALERT_LEVEL_FATAL: u8 = 2;
const ALERT_CLOSE_NOTIFY: u8 = 0;

/// Records under one key before a key update is sent: far below the 2^24 that RFC 8446, 5.5 allows
/// for AES-GCM, so that a peer that updates late stays within it too.
pub const DEFAULT_UPDATE_AFTER: u64 = 1 << 22;
/// Records received under one key before the connection is given up: the peer should have updated.
const RECEIVE_LIMIT: u64 = 1 << 24;
/// Records without a byte of content that may follow each other.
const EMPTY_RECORDS_LIMIT: u32 = 32;

/// What protecting or opening records can run into. Every one ends the connection.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The record's authentication tag is wrong: damaged, forged, or under another key.
    #[error("record fails authentication")]
    Authentication,
    /// A record longer than RFC 8446, 5.2 allows.
    #[error("record of {0} bytes is longer than TLS allows")]
    TooLong(usize),
    /// A record too short to hold a tag and a content type.
    #[error("record of {0} bytes is too short")]
    TooShort(usize),
    /// An outer content type that TLS 1.3 does not have, or other than application data after the handshake.
    #[error("unexpected outer content type {0}")]
    UnexpectedOuterType(u8),
    /// An inner content type that has no place after the handshake.
    #[error("unexpected content type {0}")]
    UnexpectedContentType(u8),
    /// A handshake message other than a key update or a ticket.
    #[error("unexpected handshake message {0} after the handshake")]
    UnexpectedHandshake(u8),
    /// A post-handshake message that does not parse.
    #[error("malformed post-handshake message")]
    MalformedHandshake,
    /// The peer sent so many records under one key that the key is no longer safe.
    #[error("peer did not update its key within {RECEIVE_LIMIT} records")]
    KeyExhausted,
    /// The peer sends records that hold nothing.
    #[error("peer floods empty records")]
    EmptyRecords,
    /// rustls could not derive the next key.
    #[error("key update failed: {0}")]
    KeyUpdate(rustls::Error),
    /// The negotiated cipher suite is not one this layer protects.
    #[error("cipher suite is not supported")]
    UnsupportedSuite,
    /// The peer ended the connection with an alert (RFC 8446, 6.2).
    #[error("peer sent alert {0:?}")]
    Alert(rustls::AlertDescription),
}

/// What an opened record held.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// Frames, at `header offset + HEADER_LEN`, of this length.
    Frames(usize),
    /// Something the record layer dealt with itself; when `reply` is set a key update is owed to the
    /// peer ([`RecordLayer::update_key`]).
    Internal {
        /// The peer asked for our key to be updated as well.
        update_requested: bool,
    },
    /// The peer closed its side in order.
    CloseNotify,
}

enum Kernel {
    Client(KernelConnection<ClientConnectionData>),
    Server(KernelConnection<ServerConnectionData>),
}

struct Direction {
    key: LessSafeKey,
    iv: [u8; aead::NONCE_LEN],
    sequence: u64,
}

impl Direction {
    fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, RecordError> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&aead::CHACHA20_POLY1305, key, iv),
            _ => return Err(RecordError::UnsupportedSuite),
        };
        let unbound = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| RecordError::UnsupportedSuite)?;
        let iv = iv.as_ref().try_into().map_err(|_| RecordError::UnsupportedSuite)?;
        Ok(Self { key: LessSafeKey::new(unbound), iv, sequence })
    }

    /// The nonce of the next record (RFC 8446, 5.3): used once, because the sequence moves on.
    fn next_nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, sequence) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= sequence;
        }
        self.sequence += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Both directions of one TLS 1.3 connection after its handshake.
pub struct RecordLayer {
    kernel: Kernel,
    transmit: Direction,
    receive: Direction,
    update_after: u64,
    empty_records: u32,
    key_updates_sent: u64,
    key_updates_received: u64,
}

impl std::fmt::Debug for RecordLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordLayer")
            .field("transmitted", &self.transmit.sequence)
            .field("received", &self.receive.sequence)
            .finish_non_exhaustive()
    }
}

impl RecordLayer {
    pub(crate) fn client(
        secrets: &ExtractedSecrets,
        kernel: KernelConnection<ClientConnectionData>,
    ) -> Result<Self, RecordError> {
        Self::new(secrets, Kernel::Client(kernel))
    }

    pub(crate) fn server(
        secrets: &ExtractedSecrets,
        kernel: KernelConnection<ServerConnectionData>,
    ) -> Result<Self, RecordError> {
        Self::new(secrets, Kernel::Server(kernel))
    }

    fn new(secrets: &ExtractedSecrets, kernel: Kernel) -> Result<Self, RecordError> {
        Ok(Self {
            kernel,
            transmit: Direction::new(secrets.tx.0, &secrets.tx.1)?,
            receive: Direction::new(secrets.rx.0, &secrets.rx.1)?,
            update_after: DEFAULT_UPDATE_AFTER,
            empty_records: 0,
            key_updates_sent: 0,
            key_updates_received: 0,
        })
    }

    /// Sends a key update after this many records instead of [`DEFAULT_UPDATE_AFTER`].
    pub fn set_update_after(&mut self, records: u64) {
        self.update_after = records.clamp(1, DEFAULT_UPDATE_AFTER);
    }

    /// Key updates sent and received so far.
    #[must_use]
    pub fn key_updates(&self) -> (u64, u64) {
        (self.key_updates_sent, self.key_updates_received)
    }

    /// Whether the transmit key has protected so many records that [`Self::update_key`] is due.
    #[must_use]
    pub fn update_due(&self) -> bool {
        self.transmit.sequence >= self.update_after
    }

    /// Seals the frames written into `record`, where they stand.
    ///
    /// # Errors
    /// [`RecordError::Authentication`] if the AEAD refuses, which it does for no input of legal size.
    pub fn seal(&mut self, record: &mut RecordBuffer) -> Result<(), RecordError> {
        self.seal_as(record, CONTENT_APPLICATION)
    }

    /// Writes a key update (RFC 8446, 4.6.3) into `record`, seals it under the old key and changes to
    /// the next one.
    ///
    /// # Errors
    /// [`RecordError::KeyUpdate`] if rustls cannot derive the next secret.
    pub fn update_key(&mut self, record: &mut RecordBuffer) -> Result<(), RecordError> {
        // update_not_requested: each side counts its own records.
        record.set_plaintext(&[HANDSHAKE_KEY_UPDATE, 0, 0, 1, 0]);
        self.seal_as(record, CONTENT_HANDSHAKE)?;
        let (sequence, secrets) = match &mut self.kernel {
            Kernel::Client(kernel) => kernel.update_tx_secret(),
            Kernel::Server(kernel) => kernel.update_tx_secret(),
        }
        .map_err(RecordError::KeyUpdate)?;
        self.transmit = Direction::new(sequence, &secrets)?;
        self.key_updates_sent += 1;
        Ok(())
    }

    /// Writes the alert that ends our side in order (RFC 8446, 6.1) into `record`.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn close_notify(&mut self, record: &mut RecordBuffer) -> Result<(), RecordError> {
        record.set_plaintext(&[1, ALERT_CLOSE_NOTIFY]);
        self.seal_as(record, CONTENT_ALERT)
    }

    fn seal_as(&mut self, record: &mut RecordBuffer, content_type: u8) -> Result<(), RecordError> {
        let (bytes, plaintext_len) = record.parts();
        let body_len = plaintext_len + TRAILER_LEN;
        bytes[0] = CONTENT_APPLICATION;
        bytes[1..3].copy_from_slice(&LEGACY_VERSION);
        bytes[3..5].copy_from_slice(&body_len_field(body_len));
        let (header, body) = bytes.split_at_mut(HEADER_LEN);
        body[plaintext_len] = content_type;
        let (inner, tag_room) = body.split_at_mut(plaintext_len + 1);
        let nonce = self.transmit.next_nonce();
        let tag = self
            .transmit
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(&*header), inner)
            .map_err(|_| RecordError::Authentication)?;
        tag_room[..TAG_LEN].copy_from_slice(tag.as_ref());
        record.set_sealed(HEADER_LEN + body_len);
        Ok(())
    }

    /// Opens the whole record `record` (header included) in place.
    ///
    /// # Errors
    /// Any [`RecordError`]; the connection must then be closed.
    pub fn open(&mut self, record: &mut [u8]) -> Result<Opened, RecordError> {
        let (header, body) = record.split_at_mut(HEADER_LEN);
        // Middlebox compatibility mode ends with the handshake (RFC 8446, D.4).
        if header[0] != CONTENT_APPLICATION {
            return Err(RecordError::UnexpectedOuterType(header[0]));
        }
        if self.receive.sequence >= RECEIVE_LIMIT {
            return Err(RecordError::KeyExhausted);
        }
        let nonce = self.receive.next_nonce();
        let inner = self
            .receive
            .key
            .open_in_place(nonce, Aad::from(&*header), body)
            .map_err(|_| RecordError::Authentication)?;
        // The content type is the last byte that is not padding (RFC 8446, 5.4).
        let Some(end) = inner.iter().rposition(|&byte| byte != 0) else {
            return Err(RecordError::UnexpectedContentType(0));
        };
        if end > MAX_PLAINTEXT {
            return Err(RecordError::TooLong(end));
        }
        let content = &inner[..end];
        match inner[end] {
            CONTENT_APPLICATION => {
                self.empty_records = if content.is_empty() { self.empty_records + 1 } else { 0 };
                if self.empty_records > EMPTY_RECORDS_LIMIT {
                    return Err(RecordError::EmptyRecords);
                }
                Ok(Opened::Frames(end))
            }
            CONTENT_ALERT => match *content {
                [_, ALERT_CLOSE_NOTIFY] => Ok(Opened::CloseNotify),
                [ALERT_LEVEL_FATAL | 1, description] => Err(RecordError::Alert(description.into())),
                _ => Err(RecordError::MalformedHandshake),
            },
            CONTENT_HANDSHAKE => {
                let message = PostHandshake::parse(content)?;
                self.handle_post_handshake(&message)
            }
            other => Err(RecordError::UnexpectedContentType(other)),
        }
    }

    fn handle_post_handshake(&mut self, message: &PostHandshake) -> Result<Opened, RecordError> {
        match message {
            // Resumption is off on our side; a foreign server's tickets are of no use.
            PostHandshake::Tickets => {
                self.empty_records += 1;
                if self.empty_records > EMPTY_RECORDS_LIMIT {
                    return Err(RecordError::EmptyRecords);
                }
                Ok(Opened::Internal { update_requested: false })
            }
            PostHandshake::KeyUpdate { requested } => {
                let (sequence, secrets) = match &mut self.kernel {
                    Kernel::Client(kernel) => kernel.update_rx_secret(),
                    Kernel::Server(kernel) => kernel.update_rx_secret(),
                }
                .map_err(RecordError::KeyUpdate)?;
                self.receive = Direction::new(sequence, &secrets)?;
                self.key_updates_received += 1;
                // A flood of updates costs a key derivation each: they count as empty records do.
                self.empty_records += 1;
                if self.empty_records > EMPTY_RECORDS_LIMIT {
                    return Err(RecordError::EmptyRecords);
                }
                Ok(Opened::Internal { update_requested: *requested })
            }
        }
    }
}

enum PostHandshake {
    Tickets,
    KeyUpdate { requested: bool },
}

impl PostHandshake {
    fn parse(content: &[u8]) -> Result<Self, RecordError> {
        let [kind, a, b, c, body @ ..] = content else {
            return Err(RecordError::MalformedHandshake);
        };
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        match *kind {
            // A key update is the last message of its record (RFC 8446, 5.1).
            HANDSHAKE_KEY_UPDATE => match (len, body) {
                (1, [0]) => Ok(Self::KeyUpdate { requested: false }),
                (1, [1]) => Ok(Self::KeyUpdate { requested: true }),
                _ => Err(RecordError::MalformedHandshake),
            },
            HANDSHAKE_NEW_SESSION_TICKET if body.len() >= len => Ok(Self::Tickets),
            HANDSHAKE_NEW_SESSION_TICKET => Err(RecordError::MalformedHandshake),
            other => Err(RecordError::UnexpectedHandshake(other)),
        }
    }
}

fn body_len_field(len: usize) -> [u8; 2] {
    u16::try_from(len).expect("a record body is at most 16,401 bytes").to_be_bytes()
}

/// Length of the record that `bytes` starts with, header included.
///
/// `Ok(None)` while the header is not complete yet.
///
/// # Errors
/// [`RecordError::UnexpectedOuterType`] for a content type that TLS 1.3 does not have,
/// [`RecordError::TooLong`] or [`RecordError::TooShort`] for a length no record may have.
pub fn record_len(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
    let [content_type, _, _, high, low, ..] = *bytes else {
        return Ok(None);
    };
    // A peer that speaks something else would make us wait for what its text means as a length.
    if !(CONTENT_CHANGE_CIPHER_SPEC..=CONTENT_APPLICATION).contains(&content_type) {
        return Err(RecordError::UnexpectedOuterType(content_type));
    }
    let body = usize::from(u16::from_be_bytes([high, low]));
    let len = HEADER_LEN + body;
    // RFC 8446, 5.2 allows 256 bytes of expansion; our own peers never use more than the trailer.
    if len > MAX_RECORD + 256 - TRAILER_LEN {
        return Err(RecordError::TooLong(len));
    }
    if body == 0 {
        return Err(RecordError::TooShort(len));
    }
    Ok(Some(len))
}
