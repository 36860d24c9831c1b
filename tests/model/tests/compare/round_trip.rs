//! What translation does on the way there it undoes on the way back.

use gridway_model::generate::{ConfigPlan, PacketPlan};
use gridway_model::packet::Carries;
use gridway_model::packet::build::echo;
use gridway_model::{Fate, Input, Packet, Step, Whence};

use crate::run::Pair;

/// The answer to a packet: ends exchanged, the same data.
fn answer(packet: &Packet) -> Option<Packet> {
    let mut answer =
        Packet { source: packet.destination, destination: packet.source, ttl: 64, ..packet.clone() };
    match packet.carries() {
        Carries::Tcp(_) | Carries::Udp => {
            let (source, destination) = answer.payload.split_at_mut(2);
            source.swap_with_slice(&mut destination[..2]);
        }
        Carries::Query if matches!(packet.payload[0], 8 | 128) => {
            let identifier = packet.tuple().source_port;
            return Some(echo(packet.destination, packet.source, identifier, true, &packet.payload[8..]));
        }
        Carries::Other => {}
        _ => return None,
    }
    // Exchanged ends leave every sum as it is.
    Some(answer)
}

fn input(whence: &Whence, packet: &Packet) -> Input {
    match whence.clone() {
        Whence::Local => Input::Outbound(packet.to_bytes()),
        Whence::Overlay { peer, vnet } => Input::Inbound { peer, vnet, bytes: packet.to_bytes() },
    }
}

/// The packet as it came out, and where an answer to it comes in.
fn arrived(step: &Step) -> Option<(Whence, Packet)> {
    let whence = match &step.fate {
        Fate::Tunnelled { peer, vnet, .. } | Fate::Relayed { peer, vnet, .. } => {
            Whence::Overlay { peer: peer.clone(), vnet: vnet.clone() }
        }
        Fate::Delivered { .. } => Whence::Local,
        _ => return None,
    };
    Some((whence, step.bytes().and_then(Packet::read)?))
}

/// Sends packets, and what answers each; the answer to the answer must be the packet that was sent, but for what
/// hops change. Gives how many came there and back.
pub(crate) fn there_and_back(config: &ConfigPlan, plans: &[PacketPlan]) -> Result<usize, String> {
    let mut pair = Pair::new(config);
    pair.bring_up()?;
    let mut round_trips = 0;
    for plan in plans {
        let (whence, sent) = plan.packet(&config.parse());
        let step = pair.apply(&input(&whence, &sent))?;
        let Some((far, seen)) = step.as_ref().and_then(arrived).filter(|(_, seen)| seen.is_whole()) else {
            continue;
        };
        let (Some(expected), Some(reply)) = (answer(&sent), answer(&seen)) else { continue };
        let step = pair.apply(&input(&far, &reply))?;
        let Some((_, back)) = step.as_ref().and_then(arrived) else { continue };
        // TTL and the MSS are each node's to lower.
        if (back.tuple(), data(&back)) != (expected.tuple(), data(&expected)) {
            return Err(format!("{sent:?}\nseen as {seen:?}\nanswered by {back:?}"));
        }
        round_trips += 1;
    }
    pair.fall_silent()?;
    Ok(round_trips)
}

/// What is behind the transport header: of TCP its options may have been lowered.
fn data(packet: &Packet) -> &[u8] {
    let header = match packet.carries() {
        Carries::Tcp(_) => usize::from(packet.payload[12] >> 4) * 4,
        Carries::Udp | Carries::Query | Carries::Reply => 8,
        _ => 0,
    };
    &packet.payload[header..]
}
