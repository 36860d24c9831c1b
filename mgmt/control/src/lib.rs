//! Messages of the control socket: how `gridway` (and the management process) asks a running node.
//!
//! A Unix stream socket; one JSON object a line each way, one [`Reply`] for one [`Request`], in
//! order; some requests have a list for an answer that comes row by row ([`Request::is_followed`]). A
//! request line has at most [`MAX_REQUEST`] bytes, a reply line [`MAX_REPLY`]. The crate holds the
//! messages, their codec and a blocking client; the server's loop belongs to the node.

mod answer;
mod change;
mod client;
mod codec;
mod connection;
mod counters;
mod event;
mod filter;
mod flow;
mod flow_log;
mod history;
mod message;
mod packet_filter;
mod policy;
mod session;
mod socket;
mod status;
mod watch;

pub use change::{ConfigState, InForce, Judgement, Pending, Proposal};
pub use client::{Client, ClientError, Hangup};
pub use codec::{
    CodecError, MAX_CONFIG_REQUEST, MAX_REPLY, MAX_REQUEST, RequestBuffer, decode_reply, decode_request,
    encode_reply, encode_request,
};
pub use connection::{ConnectionRow, RoundTrip, TcpInfo};
pub use counters::{Counters, Drops, FlowLogCounters, InboundCounters, OutboundCounters};
pub use event::{EventRow, Events, Severity};
pub use filter::FlowFilter;
pub use flow::{FlowRow, Flows, Side, Traffic, Translation, Tuple};
pub use flow_log::{FlowEndReason, FlowEvent, FlowLogLine};
pub use history::VersionRow;
pub use message::{ConfigText, Failure, FailureKind, Killed, Reply, Request};
pub use packet_filter::PacketFilter;
pub use policy::{AclRow, MonitorRow, NatDirection, NatKind, NatRow, RouteRow};
pub use session::{
    ConnectorRow, ConnectorState, Refusals, ServiceRow, SessionRow, SessionSide, SessionState, Sessions,
};
pub use socket::{BindError, bind_socket};
pub use status::{DataStatus, LimitRow, PeerRow, PeerState, Status, WorkerStatus};
pub use watch::{CapturePoint, CapturedPacket, End, PacketTrace, Ping, SimulatedPacket, Step};
