//! Tunnel frames: a record from a peer is read by both readers, and what was read is written and read again.

use gridway_wire::frame::{
    Frame, FrameError, FrameMut, FrameReader, FrameReaderMut, MAX_RECORD_LEN, PacketsBuilder, VnetId,
};
use gridway_wire::generate::OwnedFrame;

/// One input: the plaintext of a record.
///
/// # Panics
/// When a property does not hold.
pub fn run(data: &[u8]) {
    let record = &data[..data.len().min(MAX_RECORD_LEN)];
    let frames: Result<Vec<OwnedFrame>, FrameError> =
        FrameReader::new(record).map(|frame| frame.map(OwnedFrame::from)).collect();
    assert_eq!(frames, read_in_place(record));
    repack(record);
    let Ok(frames) = frames else { return };
    let mut copy = vec![0x77; MAX_RECORD_LEN];
    let mut position = 0;
    for frame in &frames {
        // What is written is never longer than what was read: extensions and the flag of a map are lost.
        position = frame.write(&mut copy, position).expect("a copy is no longer than the original");
    }
    let wanted: Vec<_> = frames
        .into_iter()
        .filter(|frame| !matches!(frame, OwnedFrame::Packets(_, p) if p.is_empty()))
        .collect();
    let again: Result<Vec<OwnedFrame>, FrameError> =
        FrameReader::new(&copy[..position]).map(|frame| frame.map(OwnedFrame::from)).collect();
    assert_eq!(again, Ok(wanted));
}

fn read_in_place(record: &[u8]) -> Result<Vec<OwnedFrame>, FrameError> {
    let mut record = record.to_vec();
    FrameReaderMut::new(&mut record)
        .map(|frame| {
            Ok(match frame? {
                FrameMut::Packets(packets) => {
                    let vnet = packets.vnet.0;
                    OwnedFrame::Packets(vnet, packets.into_iter().map(|packet| packet.to_vec()).collect())
                }
                FrameMut::Other(frame) => OwnedFrame::from(frame),
            })
        })
        .collect()
}

/// Packs the record's packets again, runs of a vnet in one frame: their order and vnets stay.
fn repack(record: &[u8]) {
    let packets = |record: &[u8]| -> Vec<(VnetId, Vec<u8>)> {
        FrameReader::new(record)
            .filter_map(|frame| match frame {
                Ok(Frame::Packets(packets)) => Some(packets),
                _ => None,
            })
            .flat_map(|packets| packets.iter().map(move |packet| (packets.vnet, packet.to_vec())))
            .collect()
    };
    let wanted = packets(record);
    let mut copy = vec![0x77; record.len()];
    let mut builder = PacketsBuilder::new();
    for (vnet, packet) in &wanted {
        builder.append(&mut copy, *vnet, packet).expect("packed, it is no longer");
    }
    assert_eq!(packets(&copy[..builder.len()]), wanted);
}
