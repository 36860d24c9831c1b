//! FTP's control channel, followed on both nodes (RFC 959, RFC 2428).
//!
//! Data connections are announced as addresses and ports in the control channel. A client cannot reach the server's
//! addresses nor the server the client's, so each node replaces them by its own: [`Near`], beside the client, what the
//! client sees; [`Far`], beside the server, what the server sees. Between the nodes the channel stays FTP.
//!
//! ```text
//! client <-> Near <== stream in the tunnel ==> Far <-> server
//!
//! PASV   Near: passes it on           Far: passes it on, as EPSV to an IPv6 server
//!        Near: opens a listener,      Far: reads the port of 227 or 229, authorises it, passes the reply on
//!              then answers with it
//! PORT   Near: checks and keeps the   Far: opens a listener, sends PORT or EPRT with it
//!              endpoint, passes it on
//! ```
//!
//! Neither machine does I/O: what it wants sent or done is in [`Output`], to be carried out in this order: events, then
//! bytes. While a listener is being opened what comes behind waits, and the owner stops reading that side
//! ([`Near::server_blocked`], [`Far::client_blocked`]). After an error the session is to be ended, once the bytes of
//! `to_client` are sent: they tell the client why.
//!
//! # What is strict
//!
//! - **Lines.** A command ends with CRLF or, as hand-made clients send it, with LF; it is passed on with CRLF, so that
//!   all parties see the same lines. NUL, other control bytes, CR inside a line and more than [`LINE_LIMIT`] bytes end
//!   the session. Telnet commands in front of a line (`IAC IP IAC DM ABOR`) are taken out: every server knows the
//!   plain ABOR.
//! - **Commands.** A line that does not begin with a command of letters and digits is answered 500 here, so that no
//!   server can read a PORT into it. PORT and EPRT may name nobody but the client and no port below 1024 (the bounce
//!   attack, RFC 2577). FTPS and the long addresses of RFC 1639 are refused: what is in them cannot be replaced.
//! - **Replies.** Local replies keep their place between the server's. The address in a 227 is never used, only the
//!   port, with the server's own address: a server cannot lead the far node elsewhere. A port below 1024, or a 227 or
//!   229 that nobody asked for, ends the session. Other replies that answer no command (421 when idle, a second answer
//!   to ABOR) are passed on. A server that leaves a command without any reply delays local replies until its next one.

mod address;
mod command;
mod dialogue;
mod error;
mod far;
mod line;
mod near;
mod refusal;
mod reply;
#[cfg(feature = "session")]
pub mod session;
mod telnet;
mod waiting;

pub use error::FtpError;
pub use far::{Far, FarEvent};
pub use near::{Near, NearEvent};

/// Longest line, its end included, in bytes: a command with the longest path of Linux, twice.
pub const LINE_LIMIT: usize = 8192;
/// Most commands that wait for their replies at a time, the greeting included.
pub const OUTSTANDING_LIMIT: usize = 256;
/// Most bytes that wait unread on a side that is blocked. An owner that hands over no more at a time, and nothing while
/// the side is blocked, never meets the limit.
pub const INPUT_LIMIT: usize = 64 * 1024;
/// Most memory that a machine claims beside its own size, whatever it is sent, in bytes: a line of either side, what
/// waits unread, and the outstanding commands.
pub const MEMORY_LIMIT: usize = 2 * LINE_LIMIT + INPUT_LIMIT + OUTSTANDING_LIMIT * dialogue::ENTRY_LEN;
/// Lowest port that a data connection may have (RFC 2577, section 3).
pub const LOWEST_PORT: u16 = 1024;

/// What a machine wants done. Calls add to it; the owner takes things out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<Event> {
    /// Bytes towards the client: to the client itself from [`Near`], into the tunnel from [`Far`].
    pub to_client: Vec<u8>,
    /// Bytes towards the server: into the tunnel from [`Near`], to the server itself from [`Far`].
    pub to_server: Vec<u8>,
    /// What else is to be done, before the bytes are sent.
    pub events: Vec<Event>,
}

impl<Event> Default for Output<Event> {
    fn default() -> Self {
        Self { to_client: Vec::new(), to_server: Vec::new(), events: Vec::new() }
    }
}
