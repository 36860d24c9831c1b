//! Lines of the flow log.

use serde::{Deserialize, Serialize};

use crate::flow::FlowRow;

/// A line of the flow log: the row of `gridway flows` as it was when the flow began or ended, and when that was.
/// A flow is known again by its tuples and `start_ms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLogLine {
    /// Whether it began or ended.
    pub event: FlowEvent,
    /// Why it ended.
    pub end_reason: Option<FlowEndReason>,
    /// When it began: milliseconds of the Unix epoch.
    pub start_ms: u64,
    /// When its last packet passed, of one that ended: milliseconds of the Unix epoch.
    pub end_ms: Option<u64>,
    /// Name of the node.
    pub node: String,
    /// The flow.
    #[serde(flatten)]
    pub flow: FlowRow,
}

/// What happened to a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowEvent {
    /// It began.
    Start,
    /// It ended.
    End,
}

/// Why a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowEndReason {
    /// No packet for longer than its idle limit.
    Idle,
    /// Its TCP connection was over: a FIN from both sides, or a reset.
    Closed,
    /// The table was full, and another flow got its place.
    Evicted,
    /// An operator ended it.
    Killed,
    /// The policy does not allow it any more, or translates it in another way.
    Policy,
    /// Another flow has one of its tuples now.
    Replaced,
    /// The node stopped.
    Stopped,
}
