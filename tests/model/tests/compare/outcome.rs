//! What the real forwarder did, and how that differs from the model.

use gridway_forwarding::DropReason;
use gridway_model::alike::alike;
use gridway_model::reason::{MALFORMED, Reason};
use gridway_model::{Applied, Fate, Input, Origin, Packet, Step, To};

/// A packet that was sent besides.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) to: To,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) fate: Option<Fate>,
    pub(crate) emitted: Vec<Sent>,
    /// Fragments that had waited and were sent.
    pub(crate) released: usize,
    /// Fates of fragments that had waited, in any order.
    pub(crate) dropped: Vec<Reason>,
    /// Fragments that waited in vain.
    pub(crate) expired: u64,
}

/// The model's name of a reason.
pub(crate) fn name(reason: DropReason) -> Reason {
    match reason {
        DropReason::Malformed(_) => MALFORMED,
        other => other.name(),
    }
}

impl Outcome {
    /// Everything that was sent.
    pub(crate) fn all_bytes(&self) -> impl Iterator<Item = &[u8]> {
        let own = match &self.fate {
            Some(
                Fate::Tunnelled { bytes, .. }
                | Fate::Delivered { bytes, .. }
                | Fate::Relayed { bytes, .. }
                | Fate::Answered { bytes, .. },
            ) => Some(bytes.as_slice()),
            _ => None,
        };
        own.into_iter().chain(self.emitted.iter().map(|sent| sent.bytes.as_slice()))
    }

    pub(crate) fn agrees_with(&self, applied: &Applied) -> Result<(), String> {
        match applied {
            Applied::Done => Ok(()),
            Applied::Expired(reasons) => same("fragments expired", &(reasons.len() as u64), &self.expired),
            Applied::Step(step) => self.is_step(step),
        }
    }

    fn is_step(&self, step: &Step) -> Result<(), String> {
        let fate = self.fate.as_ref().ok_or("a packet without a fate")?;
        same_fate(&step.fate, fate)?;
        let to = step.emitted.iter().map(|emitted| &emitted.to).collect::<Vec<_>>();
        same("emissions", &to, &self.emitted.iter().map(|sent| &sent.to).collect())?;
        for (ours, theirs) in step.emitted.iter().zip(&self.emitted) {
            alike(&ours.origin, &ours.bytes, &theirs.bytes).map_err(|difference| difference.to_string())?;
        }
        let sorted = |reasons: &[Reason]| {
            let mut reasons = reasons.to_vec();
            reasons.sort_unstable();
            reasons
        };
        same("held fragments dropped", &sorted(&step.dropped), &sorted(&self.dropped))
    }
}

fn same_fate(model: &Fate, real: &Fate) -> Result<(), String> {
    match (model, real) {
        (Fate::Answered { to, bytes }, Fate::Answered { to: real_to, bytes: real_bytes }) => {
            same("receiver of the answer", to, real_to)?;
            // A reply that was cut has no checksum to look at.
            if bytes == real_bytes {
                return Ok(());
            }
            alike(&Origin::Echo, bytes, real_bytes).map_err(|difference| difference.to_string())
        }
        // What goes back to the overlay by way of a shared address is relayed in the forwarder's books.
        (Fate::Tunnelled { peer, vnet, bytes }, Fate::Relayed { .. }) => {
            let (peer, vnet, bytes) = (peer.clone(), vnet.clone(), bytes.clone());
            same("fate", &Fate::Relayed { peer, vnet, bytes }, real)
        }
        _ => same("fate", model, real),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, model: &T, real: &T) -> Result<(), String> {
    if model == real { Ok(()) } else { Err(format!("{what}: the model {model:?}, the forwarder {real:?}")) }
}

/// An input in a line.
pub(crate) fn show_input(input: &Input) -> String {
    match input {
        Input::Outbound(bytes) => format!("local {}", show_packet(bytes)),
        Input::Inbound { peer, vnet, bytes } => format!("{peer} in {vnet} {}", show_packet(bytes)),
        Input::Config(_) => "another configuration".to_owned(),
        other => format!("{other:?}"),
    }
}

/// What it led to in a line.
pub(crate) fn show(applied: &Applied) -> String {
    let Applied::Step(step) = applied else { return format!("{applied:?}") };
    let fate = match &step.fate {
        Fate::Tunnelled { peer, .. } => format!("tunnelled to {peer}"),
        Fate::Relayed { peer, .. } => format!("relayed to {peer}"),
        Fate::Delivered { .. } => "delivered".to_owned(),
        Fate::Answered { .. } => "answered".to_owned(),
        other => format!("{other:?}"),
    };
    let bytes = step.bytes().map(show_packet).unwrap_or_default();
    format!("{fate} {bytes}, {} emitted, dropped {:?}", step.emitted.len(), step.dropped)
}

fn show_packet(bytes: &[u8]) -> String {
    let Some(packet) = Packet::read(bytes) else { return "unreadable".to_owned() };
    let tuple = packet.tuple();
    format!(
        "{} {} > {} {} protocol {} {:?} ttl {} at {} more {} id {} ({} bytes)",
        tuple.source,
        tuple.source_port,
        tuple.destination,
        tuple.destination_port,
        tuple.protocol,
        packet.carries(),
        packet.ttl,
        packet.piece.offset,
        packet.piece.more,
        packet.piece.identification,
        bytes.len(),
    )
}
