//! The tunnel between two nodes, sans-I/O: bytes, clock readings and randomness are arguments.
//!
//! A connection lives in two stages. A [`Handshake`] turns received bytes into bytes to send until
//! both certificates are verified. It becomes an [`Established`] connection: TLS 1.3 record
//! protection ([`record`]) and the [`Session`] protocol on top of it (hello, vnet map, packets,
//! liveness, [`streams`]). `docs/protocol.md` holds the byte layout.

pub mod aqm;
pub mod arbiter;
pub mod buffer;
pub mod credentials;
pub mod handshake;
pub mod identity;
pub mod record;
pub mod session;
pub mod sparse;
pub mod streams;
pub mod terms;

pub use arbiter::{Arbiter, ConnectionId, Verdict};
pub use buffer::{Contents, RecordBuffer, Source};
pub use credentials::{CredentialError, Credentials};
pub use handshake::{Established, Handshake, HandshakeError, Progress};
pub use identity::{IdentityError, PeerIdentity};
pub use record::{Opened, RecordError, RecordLayer};
pub use session::{Closed, Event, PeerHello, Session, SessionOptions};
pub use terms::Term;

/// The application protocol that both sides must offer and accept (RFC 7301).
pub const ALPN: &[u8] = b"gridway/1";
