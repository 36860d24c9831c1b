//! Tunnel frames: what is written is read, and whatever a peer sends is survived.

use gridway_wire::frame::{
    FrameError, FrameMut, FrameReader, FrameReaderMut, FrameType, FrameWriter, Full, MAX_PACKET_LEN,
    MAX_RECORD_LEN, MAX_VNET_MAP_ENTRIES, PacketsBuilder, StreamId, VnetId, VnetMapEntry,
};
use gridway_wire::generate::{OwnedFrame, frames};
use proptest::collection::vec;
use proptest::prelude::*;

fn write(frames: &[OwnedFrame]) -> Vec<u8> {
    let mut record = vec![0x77; MAX_RECORD_LEN];
    let mut position = 0;
    for frame in frames {
        position = frame.write(&mut record, position).expect("generated frames fit a record");
    }
    record.truncate(position);
    record
}

fn some_frames() -> impl Strategy<Value = Vec<OwnedFrame>> {
    frames().prop_map(|frames| if frames.is_empty() { vec![OwnedFrame::Ping(0)] } else { frames })
}

fn read(record: &[u8]) -> Result<Vec<OwnedFrame>, FrameError> {
    FrameReader::new(record).map(|frame| frame.map(OwnedFrame::from)).collect()
}

fn read_mut(record: &mut [u8]) -> Result<Vec<OwnedFrame>, FrameError> {
    FrameReaderMut::new(record)
        .map(|frame| {
            frame.map(|frame| match frame {
                FrameMut::Packets(packets) => {
                    OwnedFrame::Packets(packets.vnet.0, packets.into_iter().map(|p| p.to_vec()).collect())
                }
                FrameMut::Other(frame) => OwnedFrame::from(frame),
            })
        })
        .collect()
}

proptest! {
    #[test]
    fn reads_what_was_written(frames in frames()) {
        let mut record = write(&frames);
        prop_assert_eq!(read(&record), Ok(frames.clone()));
        prop_assert_eq!(read_mut(&mut record), Ok(frames));
    }

    #[test]
    fn a_cut_record_gives_its_whole_frames_and_then_an_error(
        frames in some_frames(), cut in any::<prop::sample::Index>()) {
        let record = write(&frames);
        let cut = cut.index(record.len());
        let mut whole = Vec::new();
        let mut error = None;
        for frame in FrameReader::new(&record[..cut]) {
            prop_assert!(error.is_none(), "the reader ends after an error");
            match frame {
                Ok(frame) => whole.push(OwnedFrame::from(frame)),
                Err(found) => error = Some(found),
            }
        }
        prop_assert_eq!(&whole[..], &frames[..whole.len()]);
        let boundary = write(&frames[..whole.len()]).len() == cut;
        prop_assert_eq!(error.is_none(), boundary);
    }

    #[test]
    fn readers_agree_and_survive_any_bytes(mut record in vec(prop_oneof![0u8..8, any::<u8>()], 0..300)) {
        prop_assert_eq!(read(&record), read_mut(&mut record.clone()));
        if let Ok(frames) = read_mut(&mut record) {
            // What was read can be written, though extensions are lost, and empty frames with them.
            let wanted: Vec<_> =
                frames.into_iter().filter(|f| !matches!(f, OwnedFrame::Packets(_, p) if p.is_empty())).collect();
            prop_assert_eq!(read(&write(&wanted)), Ok(wanted));
        }
    }

    #[test]
    fn survives_mutated_records(
        frames in some_frames(),
        mutations in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut record = write(&frames);
        for (index, value) in mutations {
            let at = index.index(record.len());
            record[at] = value;
        }
        prop_assert_eq!(read(&record), read_mut(&mut record));
    }

    #[test]
    fn packets_of_one_vnet_share_a_frame_until_the_record_is_full(
        packets in vec((0u16..3, 1usize..2000), 1..40), capacity in 0usize..20_000,
    ) {
        let mut buffer = vec![0x77; capacity];
        let mut builder = PacketsBuilder::new();
        let mut expected: Vec<OwnedFrame> = Vec::new();
        for (index, (vnet, length)) in packets.into_iter().enumerate() {
            let packet = vec![index as u8; length];
            let before = (buffer.clone(), builder);
            match builder.append(&mut buffer, VnetId(vnet), &packet) {
                Ok(()) => match expected.last_mut() {
                    Some(OwnedFrame::Packets(last, packets)) if *last == vnet => packets.push(packet),
                    _ => expected.push(OwnedFrame::Packets(vnet, vec![packet])),
                },
                Err(Full { needed, free }) => {
                    prop_assert!(needed > free && free == capacity.min(MAX_RECORD_LEN) - builder.len());
                    prop_assert_eq!((buffer.clone(), builder), before);
                }
            }
            prop_assert_eq!(read(&buffer[..builder.len()]), Ok(expected.clone()));
        }
        prop_assert!(builder.len() <= capacity.min(MAX_RECORD_LEN));
    }
}

#[test]
fn packets_are_changed_in_place() {
    let mut record = write(&[OwnedFrame::Ping(1), OwnedFrame::Packets(7, vec![vec![1, 2], vec![3]])]);
    for frame in FrameReaderMut::new(&mut record) {
        if let FrameMut::Packets(mut packets) = frame.unwrap() {
            assert_eq!((packets.vnet, packets.len()), (VnetId(7), 2));
            packets.iter_mut().for_each(|packet| packet[0] += 100);
        }
    }
    let expected = [OwnedFrame::Ping(1), OwnedFrame::Packets(7, vec![vec![101, 2], vec![103]])];
    assert_eq!(read(&record).unwrap(), expected);
}

#[test]
fn the_byte_layout_is_that_of_the_protocol() {
    assert_eq!(write(&[OwnedFrame::Ping(0x0102_0304_0506_0708)]), [4, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(write(&[OwnedFrame::Pong(1)]), [5, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(write(&[OwnedFrame::Close(9, "no".into())]), [6, 0, 0, 5, 0, 9, 2, b'n', b'o']);
    assert_eq!(
        write(&[OwnedFrame::VnetMap(vec![(258, "a".into()), (3, "bc".into())])]),
        [2, 0, 0, 9, 1, 2, 1, b'a', 0, 3, 2, b'b', b'c']
    );
    assert_eq!(
        write(&[OwnedFrame::Packets(258, vec![vec![0x45], vec![0x60, 1]])]),
        [3, 0, 0, 9, 1, 2, 0, 1, 0x45, 0, 2, 0x60, 1]
    );
    let hello = OwnedFrame::Hello {
        features: 0x0a0b_0c0d,
        instance: [0x11; 16],
        connection: (1, 2),
        kind: gridway_wire::frame::ConnectionKind::Streams,
        data_mtu: 1500,
        node: "gw-a".into(),
    };
    let mut expected = vec![1, 0, 0, 33, 0, 1, 0x0a, 0x0b, 0x0c, 0x0d];
    expected.extend([0x11; 16]);
    expected.extend([1, 2, 1, 0, 0x05, 0xdc, 4, b'g', b'w', b'-', b'a']);
    assert_eq!(write(&[hello]), expected);
}

#[test]
fn the_layout_of_streams_is_fixed() {
    use gridway_wire::frame::StreamProtocol::Ftp;
    use gridway_wire::generate::OwnedTarget;
    let client = "10.1.0.2:4660".parse().unwrap();
    let host = OwnedTarget::Host("db".into(), 5432);
    let open = OwnedFrame::StreamOpen(7, Ftp, [Some(client), None], host);
    let mut expected = vec![16, 0, 0, 21, 0, 0, 0, 7, 2, 1];
    expected.extend([4, 0x12, 0x34, 10, 1, 0, 2]);
    expected.extend([0, 0, 0, 2, b'd', b'b', 0x15, 0x38]);
    assert_eq!(write(&[open]), expected);
    for (frame, expected) in [
        (OwnedFrame::StreamData(7, vec![1, 2]), &[17, 0, 0, 6, 0, 0, 0, 7, 1, 2][..]),
        (OwnedFrame::StreamWindow(7, 258, true), &[18, 1, 0, 8, 0, 0, 0, 7, 0, 0, 1, 2]),
        (OwnedFrame::StreamFinish(7), &[19, 0, 0, 4, 0, 0, 0, 7]),
        (OwnedFrame::StreamReset(7, 3), &[20, 0, 0, 6, 0, 0, 0, 7, 0, 3]),
    ] {
        assert_eq!(write(&[frame]), expected);
    }
}

#[test]
fn stream_data_is_read_into_the_record() {
    let mut record = [0; 16];
    let mut writer = FrameWriter::new(&mut record);
    let room = |limit: usize, taken: usize| {
        move |room: &mut [u8]| {
            assert_eq!(room.len(), limit);
            room.fill(9);
            taken
        }
    };
    writer.stream_data(StreamId(1), 3, room(3, 0));
    assert!(writer.is_empty(), "no bytes, no frame");
    writer.stream_data(StreamId(1), usize::MAX, room(8, 2));
    assert_eq!(writer.len(), 10);
    writer.stream_data(StreamId(2), 1, |_| unreachable!("there is no room"));
    assert_eq!(read(&record[..10]), Ok(vec![OwnedFrame::StreamData(1, vec![9, 9])]));
}

#[test]
fn unknown_frames_and_extensions_are_skipped() {
    let mut record = vec![200, 9, 0, 1, 0xff, 4, 0, 0, 9];
    record.extend([0, 0, 0, 0, 0, 0, 0, 5, 0xee]);
    record.extend([7, 0, 0, 0]);
    record.extend([19, 0xff, 0, 5, 0, 0, 0, 3, 0xee]);
    let expected = [
        OwnedFrame::Other(200, 9, vec![0xff]),
        OwnedFrame::Ping(5),
        OwnedFrame::Other(7, 0, Vec::new()),
        OwnedFrame::StreamFinish(3),
    ];
    assert_eq!(read(&record).unwrap(), expected);
    assert_eq!(FrameType::from_u8(200), FrameType::Unknown(200));
    assert_eq!(FrameType::from_u8(16), FrameType::StreamOpen);
}

#[test]
fn each_fault_has_its_error() {
    let body = |frame_type, length| FrameError::TruncatedFrame { frame_type, length, left: 0 };
    let truncated = |frame_type| FrameError::TruncatedBody { frame_type };
    let mut hello = vec![1, 0, 0, 30, 0, 1];
    hello.extend([0; 20]);
    hello.extend([0, 1, 0, 0, 5, 0xdc, 1, b'a']);
    assert_eq!(read(&hello).map(|frames| frames.len()), Ok(1));
    let with = |at: usize, value: u8| {
        let mut changed = hello.clone();
        changed[at] = value;
        read(&changed).unwrap_err()
    };
    assert_eq!(with(5, 2), FrameError::UnsupportedVersion { found: 2 });
    assert_eq!(with(26, 1), FrameError::BadConnectionIndex { index: 1, count: 1 });
    assert_eq!(with(28, 2), FrameError::BadConnectionKind { found: 2 });
    assert_eq!(with(32, 2), truncated(FrameType::Hello));
    assert_eq!(with(32, 0), FrameError::BadName { frame_type: FrameType::Hello });
    assert_eq!(with(33, b'-'), FrameError::BadName { frame_type: FrameType::Hello });
    assert_eq!(with(33, 0xff), FrameError::BadName { frame_type: FrameType::Hello });
    for (record, error) in [
        (&[4u8, 0, 0][..], FrameError::TruncatedHeader { left: 3 }),
        (&[4, 0, 0, 8], body(FrameType::Ping, 8)),
        (&[4, 0, 0, 1, 0], truncated(FrameType::Ping)),
        (&[1, 0, 0, 1, 0], truncated(FrameType::Hello)),
        (&[1, 0, 0, 2, 0, 1], truncated(FrameType::Hello)),
        (&[1, 0, 0, 2, 0, 9], FrameError::UnsupportedVersion { found: 9 }),
        (&[2, 0, 0, 2, 0, 1], truncated(FrameType::VnetMap)),
        (&[2, 0, 0, 3, 0, 1, 0], FrameError::BadName { frame_type: FrameType::VnetMap }),
        (&[3, 0, 0, 1, 0], truncated(FrameType::Packets)),
        (&[3, 0, 0, 3, 0, 1, 0], truncated(FrameType::Packets)),
        (&[3, 0, 0, 5, 0, 1, 0, 2, 0x45], truncated(FrameType::Packets)),
        (&[3, 0, 0, 4, 0, 1, 0, 0], FrameError::EmptyPacket),
        (&[6, 0, 0, 2, 0, 1], truncated(FrameType::Close)),
        (&[6, 0, 0, 3, 0, 1, 1], truncated(FrameType::Close)),
        (&[6, 0, 0, 4, 0, 1, 1, 0xff], FrameError::BadText),
        (&[16, 0, 0, 4, 0, 0, 0, 1], truncated(FrameType::StreamOpen)),
        (&[16, 0, 0, 9, 0, 0, 0, 1, 9, 0, 0, 0, 0], FrameError::BadStreamProtocol { found: 9 }),
        (&[16, 0, 0, 9, 0, 0, 0, 1, 0, 0, 5, 0, 0], FrameError::BadAddressFamily { found: 5 }),
        (&[16, 0, 0, 9, 0, 0, 0, 1, 0, 0, 4, 0, 0], truncated(FrameType::StreamOpen)),
        (&[16, 0, 0, 12, 0, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0], FrameError::BadStreamTargetKind { found: 9 }),
        (
            &[16, 0, 0, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'-'],
            FrameError::BadName { frame_type: FrameType::StreamOpen },
        ),
        (&[16, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'h', 0, 0], FrameError::BadStreamTarget),
        (&[16, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'/', 0, 1], FrameError::BadStreamTarget),
        (&[16, 0, 0, 18, 0, 0, 0, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], FrameError::BadStreamId),
        (&[17, 0, 0, 4, 0, 0, 0, 1], truncated(FrameType::StreamData)),
        (&[17, 0, 0, 5, 0, 0, 0, 0, 1], FrameError::BadStreamId),
        (&[18, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0], truncated(FrameType::StreamWindow)),
        (&[19, 0, 0, 3, 0, 0, 0], truncated(FrameType::StreamFinish)),
        (&[20, 0, 0, 5, 0, 0, 0, 1, 0], truncated(FrameType::StreamReset)),
    ] {
        assert_eq!(read(record), Err(error), "{record:?}");
        assert_eq!(read_mut(&mut record.to_vec()), Err(error), "{record:?}");
    }
}

#[test]
fn a_vnet_map_has_at_most_1024_entries_a_frame() {
    let names: Vec<String> = (0..MAX_VNET_MAP_ENTRIES + 1).map(|n| format!("v{n}")).collect();
    let entries: Vec<_> =
        names.iter().enumerate().map(|(id, name)| VnetMapEntry { id: VnetId(id as u16), name }).collect();
    let mut record = vec![0; MAX_RECORD_LEN];
    let mut writer = FrameWriter::new(&mut record);
    assert_eq!(writer.vnet_map(&entries), Ok(MAX_VNET_MAP_ENTRIES));
    assert_eq!(writer.vnet_map(&entries[MAX_VNET_MAP_ENTRIES..]), Ok(1));
    let length = writer.len();
    let more: Vec<_> = FrameReader::new(&record[..length])
        .map(|frame| match frame.unwrap() {
            gridway_wire::frame::Frame::VnetMap(map) => (map.len(), map.more),
            other => panic!("no vnet map: {other:?}"),
        })
        .collect();
    assert_eq!(more, [(MAX_VNET_MAP_ENTRIES, true), (1, false)]);

    let mut too_many = vec![2, 0];
    too_many.extend(((MAX_VNET_MAP_ENTRIES as u16 + 1) * 4).to_be_bytes());
    too_many.extend([0, 0, 1, b'a'].repeat(MAX_VNET_MAP_ENTRIES + 1));
    assert_eq!(read(&too_many), Err(FrameError::TooManyEntries));
}

#[test]
fn a_vnet_map_goes_on_in_the_next_record() {
    let entries = [VnetMapEntry { id: VnetId(1), name: "corp" }, VnetMapEntry { id: VnetId(2), name: "lab" }];
    let mut small = [0; 12];
    assert_eq!(FrameWriter::new(&mut small).vnet_map(&entries), Ok(1));
    assert_eq!(read(&small[..11]), Ok(vec![OwnedFrame::VnetMap(vec![(1, "corp".into())])]));
    assert_eq!(FrameWriter::new(&mut [0; 10]).vnet_map(&entries), Err(Full { needed: 11, free: 10 }));
    assert_eq!(FrameWriter::new(&mut [0; 4]).vnet_map(&[]), Ok(0));
}

#[test]
fn close_text_is_cut_at_a_character() {
    let long = "ä".repeat(200);
    let record = write(&[OwnedFrame::Close(0, long)]);
    assert_eq!(read(&record), Ok(vec![OwnedFrame::Close(0, "ä".repeat(127))]));
}

#[test]
fn the_longest_packet_fills_a_record() {
    let mut buffer = vec![0; 2 * MAX_RECORD_LEN];
    let mut builder = PacketsBuilder::new();
    let too_long = vec![1; MAX_PACKET_LEN + 1];
    assert!(builder.append(&mut buffer, VnetId(1), &too_long).is_err());
    assert!(builder.append(&mut buffer, VnetId(1), &[]).is_err());
    assert!(builder.is_empty());
    builder.append(&mut buffer, VnetId(1), &too_long[1..]).unwrap();
    assert_eq!(builder.len(), MAX_RECORD_LEN);
}
