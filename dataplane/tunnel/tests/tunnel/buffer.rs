//! The buffer records are written into.

use gridway_tunnel::buffer::MAX_PLAINTEXT;
use gridway_tunnel::{Contents, RecordBuffer, Source};
use gridway_wire::frame::{Frame, FrameReader, VnetId};

const VNET: VnetId = VnetId(3);

/// The packets in a record, with their vnets.
fn packets(record: &RecordBuffer) -> Vec<(u16, Vec<u8>)> {
    FrameReader::new(record.plaintext())
        .flat_map(|frame| match frame.unwrap() {
            Frame::Packets(packets) => {
                packets.iter().map(|p| (packets.vnet.0, p.to_vec())).collect::<Vec<_>>()
            }
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn packets_fill_the_record_and_the_one_that_does_not_fit_changes_nothing() {
    let mut record = RecordBuffer::new();
    let packet = vec![0x45; 1400];
    let mut pushed: u64 = 0;
    while record.push_packet(VNET, &packet, Source::Local).is_ok() {
        pushed += 1;
        assert!(pushed < 100, "a record is never full");
    }
    assert_eq!(pushed, MAX_PLAINTEXT as u64 / 1400);
    let before = record.plaintext().to_vec();
    assert!(record.push_packet(VNET, &packet, Source::Local).is_err());
    assert!(record.push_packet(VnetId(9), &packet, Source::Own).is_err());
    assert_eq!(record.plaintext(), before);
    assert_eq!((record.contents().local, record.contents().local_bytes), (pushed, pushed * 1400));
    assert_eq!(packets(&record), vec![(3, packet); pushed as usize]);
    // A smaller one still fits.
    record.push_packet(VNET, &[0x45; 20], Source::Local).unwrap();
    assert!(record.plaintext().len() <= MAX_PLAINTEXT);
}

#[test]
fn packets_are_counted_by_where_they_come_from() {
    let mut record = RecordBuffer::new();
    record.push_packet(VNET, &[1; 100], Source::Local).unwrap();
    record.push_packet(VNET, &[2; 50], Source::Own).unwrap();
    record.push_packet(VNET, &[3; 70], Source::Relayed).unwrap();
    let expected =
        Contents { local: 1, local_bytes: 100, relayed: 1, relayed_bytes: 70, own: 1, own_bytes: 50 };
    assert_eq!(record.contents(), expected);
    assert_eq!(packets(&record).len(), 3);
}

#[test]
fn packets_and_control_frames_share_a_record_in_order() {
    let mut record = RecordBuffer::new();
    record.push_packet(VNET, &[1; 10], Source::Local).unwrap();
    record.push_frames(|writer| writer.ping(7)).unwrap();
    record.push_packet(VNET, &[2; 10], Source::Local).unwrap();
    record.push_packet(VnetId(4), &[3; 10], Source::Local).unwrap();
    let kinds: Vec<_> = FrameReader::new(record.plaintext())
        .map(|frame| match frame.unwrap() {
            Frame::Packets(packets) => format!("{} of {}", packets.len(), packets.vnet.0),
            Frame::Ping(token) => format!("ping {token}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["1 of 3", "ping 7", "1 of 3", "1 of 4"]);
}

#[test]
fn a_cleared_buffer_is_as_new() {
    let mut record = RecordBuffer::new();
    record.push_packet(VNET, &[1; 1000], Source::Local).unwrap();
    record.clear();
    assert!(record.is_empty() && record.plaintext().is_empty() && record.sealed().is_empty());
    assert_eq!(record.contents(), Contents::default());
    record.push_packet(VnetId(8), &[2; 20], Source::Local).unwrap();
    assert_eq!(packets(&record), [(8, vec![2; 20])]);
}

#[test]
fn a_record_takes_what_another_one_holds_if_all_of_it_fits() {
    let [mut record, mut other, mut large] = [RecordBuffer::new(), RecordBuffer::new(), RecordBuffer::new()];
    record.push_packet(VNET, &[1; 100], Source::Local).unwrap();
    other.push_packet(VNET, &[2; 50], Source::Relayed).unwrap();
    other.push_packet(VnetId(4), &[3; 60], Source::Own).unwrap();
    large.push_packet(VNET, &[4; MAX_PLAINTEXT - 100], Source::Local).unwrap();
    record.append(&other).unwrap();
    let all = packets(&record);
    assert_eq!(all, [(3, vec![1; 100]), (3, vec![2; 50]), (4, vec![3; 60])]);
    let counted =
        Contents { local: 1, local_bytes: 100, relayed: 1, relayed_bytes: 50, own: 1, own_bytes: 60 };
    assert_eq!(record.contents(), counted);
    assert!(record.append(&large).is_err());
    assert_eq!((packets(&record), record.contents()), (all, counted), "what does not fit changes nothing");
    // It goes on behind what was taken in.
    record.push_packet(VNET, &[5; 10], Source::Local).unwrap();
    assert_eq!(packets(&record).last(), Some(&(3, vec![5; 10])));
}
