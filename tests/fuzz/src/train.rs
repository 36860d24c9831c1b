//! Segments that are put together and cut again: steps of eight bytes, a segment each, then bytes that change one.

use gridway_wire::generate::{SegmentSpec, through_train, without_identification};

/// Bytes of a step.
const STEP: usize = 8;

/// Sends what `data` says through a train; what leaves is what came, in its order.
pub fn run(data: &[u8]) {
    let mut next = [0x7fff_ff00_u32, u32::MAX - 900];
    let packets: Vec<Vec<u8>> = data
        .chunks_exact(STEP)
        .enumerate()
        .map(|(number, step)| {
            let flag = |bit: u8| step[0] >> bit & 1 == 1;
            let sequence = &mut next[usize::from(flag(0))];
            *sequence = sequence.wrapping_add(u32::from(step[1] & 1) * 5000);
            let spec = SegmentSpec {
                v6: flag(1),
                port: 5000 + u16::from(flag(0)),
                push: flag(2),
                stamp: flag(3).then(|| u32::from(step[2] & 1)),
                ttl: 60 + (step[2] >> 7),
                dont_fragment: !flag(4),
                fin: flag(5),
                corrupt: flag(6),
                ..SegmentSpec::plain(*sequence, usize::from(step[3]) * 6)
            };
            *sequence = sequence.wrapping_add(u32::from(step[3]) * 6);
            let mut packet = spec.packet(number as u16);
            if flag(7) {
                let at = usize::from(step[4]) % packet.len();
                packet[at] ^= step[5];
                packet.truncate(packet.len() - usize::from(step[6]) % packet.len());
            }
            packet
        })
        .collect();
    let (left, _) = through_train(&packets);
    let plain = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
        packets.iter().map(|packet| without_identification(packet)).collect()
    };
    assert_eq!(plain(&left), plain(&packets));
}
