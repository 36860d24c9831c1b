//! Messages of the control socket: how `gridway` (and the management process) asks a running node.
//!
//! A Unix stream socket; one JSON object a line each way, one [`Reply`] for one [`Request`], in
//! order. A request line has at most [`MAX_REQUEST`] bytes, a reply line [`MAX_REPLY`]. The crate
//! holds the messages, their codec and a blocking client; the server's loop belongs to the node.

mod client;
mod codec;
mod counters;
mod filter;
mod flow;
mod message;
mod policy;
mod session;
mod status;

pub use client::{Client, ClientError};
pub use codec::{
    CodecError, MAX_REPLY, MAX_REQUEST, RequestBuffer, decode_reply, decode_request, encode_reply,
    encode_request,
};
pub use counters::{Counters, Drops, InboundCounters, OutboundCounters};
pub use filter::FlowFilter;
pub use flow::{FlowRow, Flows, Side, Traffic, Translation, Tuple};
pub use message::{ConfigText, Failure, FailureKind, Killed, Reply, Request};
pub use policy::{AclRow, MonitorRow, NatDirection, NatKind, NatRow, RouteRow};
pub use session::{
    ConnectorRow, ConnectorState, Refusals, ServiceRow, SessionRow, SessionSide, SessionState, Sessions,
};
pub use status::{DataStatus, LimitRow, PeerRow, PeerState, Status, WorkerStatus};
