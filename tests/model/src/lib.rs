//! A slow, plainly right reference model of Layer 3 of one node: the judge that the real forwarder
//! is compared with.
//!
//! It follows `docs` and RFCs, shares no code with `gridway-forwarding`, and is written to be read:
//! linear scans, owned packets, checksums from scratch. `README.md` names the rule behind each part.
//!
//! ```text
//!  generate::scenario ──> Event ──Journal::resolve──> Input ──┬──> the real forwarder ──> what came out
//!                                    ^                        │                              │ Observed
//!                                    │                        └──> Model::apply <────────────┘ (oracle)
//!                                    └───────Journal::record──────────── Step, to be compared
//! ```
//!
//! What the rules leave open (a port of a pool, one of several equal peers) the model asks of an
//! [`Oracle`] and checks that the answer was allowed: [`IllegalChoice`].

pub mod alike;
mod flow;
mod forward;
pub mod generate;
mod journal;
mod model;
mod nat;
mod oracle;
pub mod packet;
mod policy;
pub mod reason;
mod step;
mod tuple;

pub use flow::{Flow, Kind, Mapping, Side, TcpState};
pub use journal::{Input, Journal};
pub use model::{Applied, Model};
pub use nat::{translate_prefix, usable_pool};
pub use oracle::{
    IllegalChoice, MappingRequest, ModelChooses, Observed, Oracle, PeerRequest, Place, PoolAddress,
};
pub use packet::Packet;
pub use step::{Emitted, Fate, Origin, Step, To, Whence};
pub use tuple::{ICMP, ICMPV6, TCP, Tuple, UDP};
