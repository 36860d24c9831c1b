//! Layer 4: connectors, port forwards and services.
//!
//! A client connects to a listener of one node; a stream of the tunnel carries its bytes to the other, which connects to
//! the target. The [`Engine`] of each worker owns the sockets. What needs following is followed on memory: FTP's control
//! channel by a machine on each node ([`ftp::Near`] beside the client, [`ftp::Far`] beside the server), TFTP's transfer
//! ports by [`tftp::Transfer`]; [`proxy_header::proxy_header`] tells a target who its client is. `docs/layer4.md` says
//! what an operator sees of all this, `docs/protocol.md` what travels.

#[cfg(feature = "engine")]
mod engine;
pub mod ftp;
pub mod proxy_header;
pub mod tftp;

#[cfg(feature = "engine")]
pub use engine::{
    Doors, Engine, Listener, Plan, RANGES, Refusal, SessionBook, SessionInfo, SessionState, Side, Tally,
    Wake, socket,
};
