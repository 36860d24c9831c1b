//! Valid frames.

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::frame::{
    Close, CloseReason, ConnectionKind, Frame, FrameType, FrameWriter, Full, Hello, PacketsBuilder,
    ResetReason, StreamFrame, StreamId, StreamOpen, StreamProtocol, StreamTarget, VnetId, VnetMapEntry,
};

/// A frame that owns what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedFrame {
    /// See [`Hello`].
    Hello {
        /// Features.
        features: u32,
        /// Instance id.
        instance: [u8; 16],
        /// Index and count.
        connection: (u8, u8),
        /// Kind.
        kind: ConnectionKind,
        /// MTU.
        data_mtu: u16,
        /// Name.
        node: String,
    },
    /// Entries of a map that ends with this frame.
    VnetMap(Vec<(u16, String)>),
    /// Packets of a vnet.
    Packets(u16, Vec<Vec<u8>>),
    /// A token.
    Ping(u64),
    /// A token.
    Pong(u64),
    /// Code and text.
    Close(u16, String),
    /// A stream, who opens it, and the host and port, or the service, that it leads to.
    StreamOpen(u32, StreamProtocol, [Option<SocketAddr>; 2], OwnedTarget),
    /// A stream and its bytes.
    StreamData(u32, Vec<u8>),
    /// A stream, its increment, whether it is open.
    StreamWindow(u32, u32, bool),
    /// A stream.
    StreamFinish(u32),
    /// A stream and a code.
    StreamReset(u32, u16),
    /// Type, flags and body of a frame that is not read.
    Other(u8, u8, Vec<u8>),
}

/// What a stream leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedTarget {
    /// A service.
    Service(String),
    /// Host and port.
    Host(String, u16),
    /// Control stream and port.
    FtpPassive(u32, u16),
    /// Control stream.
    FtpActive(u32),
}

impl OwnedTarget {
    fn borrowed(&self) -> StreamTarget<'_> {
        match self {
            Self::Service(name) => StreamTarget::Service(name),
            Self::Host(host, port) => StreamTarget::Host { host, port: *port },
            Self::FtpPassive(control, port) => {
                StreamTarget::FtpPassive { control: StreamId(*control), port: *port }
            }
            Self::FtpActive(control) => StreamTarget::FtpActive { control: StreamId(*control) },
        }
    }
}

impl From<StreamTarget<'_>> for OwnedTarget {
    fn from(target: StreamTarget<'_>) -> Self {
        match target {
            StreamTarget::Service(name) => Self::Service(name.to_owned()),
            StreamTarget::Host { host, port } => Self::Host(host.to_owned(), port),
            StreamTarget::FtpPassive { control, port } => Self::FtpPassive(control.0, port),
            StreamTarget::FtpActive { control } => Self::FtpActive(control.0),
        }
    }
}

impl OwnedFrame {
    /// Writes the frame at `position` of `record` and gives the position behind it.
    ///
    /// # Errors
    /// [`Full`]; of a packets frame the packets before the first that does not fit are written then.
    pub fn write(&self, record: &mut [u8], position: usize) -> Result<usize, Full> {
        if let Self::Packets(vnet, packets) = self {
            let mut builder = PacketsBuilder::at(position);
            for packet in packets {
                builder.append(record, VnetId(*vnet), packet)?;
            }
            return Ok(builder.len());
        }
        let mut writer = FrameWriter::at(record, position);
        match self {
            Self::Hello { features, instance, connection, kind, data_mtu, node } => writer.hello(&Hello {
                features: *features,
                instance: *instance,
                connection_index: connection.0,
                connection_count: connection.1,
                connection_kind: *kind,
                data_mtu: *data_mtu,
                node,
            }),
            Self::VnetMap(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(id, name)| VnetMapEntry { id: VnetId(*id), name }).collect();
                writer.vnet_map(&entries).map(|written| assert_eq!(written, entries.len()))
            }
            Self::Packets(..) => unreachable!("written above"),
            Self::Ping(token) => writer.ping(*token),
            Self::Pong(token) => writer.pong(*token),
            Self::Close(code, text) => writer.close(&Close { reason: CloseReason::from_u16(*code), text }),
            Self::StreamOpen(id, protocol, [client, listener], target) => {
                let open = StreamOpen {
                    protocol: *protocol,
                    client: *client,
                    listener: *listener,
                    target: target.borrowed(),
                };
                writer.stream(&StreamFrame::Open(StreamId(*id), open))
            }
            Self::StreamData(id, bytes) => writer.stream(&StreamFrame::Data(StreamId(*id), bytes)),
            Self::StreamWindow(id, increment, opened) => {
                let (id, increment, opened) = (StreamId(*id), *increment, *opened);
                writer.stream(&StreamFrame::Window { id, increment, opened })
            }
            Self::StreamFinish(id) => writer.stream(&StreamFrame::Finish(StreamId(*id))),
            Self::StreamReset(id, code) => {
                writer.stream(&StreamFrame::Reset(StreamId(*id), ResetReason::from_u16(*code)))
            }
            Self::Other(number, flags, body) => writer
                .frame(FrameType::from_u8(*number), *flags, body.len())
                .map(|room| room.copy_from_slice(body)),
        }?;
        Ok(writer.len())
    }
}

impl From<Frame<'_>> for OwnedFrame {
    fn from(frame: Frame<'_>) -> Self {
        match frame {
            Frame::Hello(hello) => Self::Hello {
                features: hello.features,
                instance: hello.instance,
                connection: (hello.connection_index, hello.connection_count),
                kind: hello.connection_kind,
                data_mtu: hello.data_mtu,
                node: hello.node.to_owned(),
            },
            Frame::VnetMap(map) => {
                Self::VnetMap(map.iter().map(|entry| (entry.id.0, entry.name.to_owned())).collect())
            }
            Frame::Packets(packets) => {
                Self::Packets(packets.vnet.0, packets.iter().map(<[u8]>::to_vec).collect())
            }
            Frame::Ping(token) => Self::Ping(token),
            Frame::Pong(token) => Self::Pong(token),
            Frame::Close(close) => Self::Close(close.reason.to_u16(), close.text.to_owned()),
            Frame::Stream(StreamFrame::Open(id, open)) => {
                Self::StreamOpen(id.0, open.protocol, [open.client, open.listener], open.target.into())
            }
            Frame::Stream(StreamFrame::Data(id, bytes)) => Self::StreamData(id.0, bytes.to_vec()),
            Frame::Stream(StreamFrame::Window { id, increment, opened }) => {
                Self::StreamWindow(id.0, increment, opened)
            }
            Frame::Stream(StreamFrame::Finish(id)) => Self::StreamFinish(id.0),
            Frame::Stream(StreamFrame::Reset(id, reason)) => Self::StreamReset(id.0, reason.to_u16()),
            Frame::Other { frame_type, flags, body } => Self::Other(frame_type.to_u8(), flags, body.to_vec()),
        }
    }
}

/// DNS labels, up to the longest.
pub fn label() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9-]{0,10}[a-z0-9]", "[A-Za-z0-9]", "[a-z0-9]{63}"]
}

/// Up to six frames that fit one record; adjacent packets frames are of different vnets.
pub fn frames() -> impl Strategy<Value = Vec<OwnedFrame>> {
    vec(frame(), 0..6).prop_map(|mut frames| {
        frames.dedup_by(
            |b, a| matches!((a, b), (OwnedFrame::Packets(a, _), OwnedFrame::Packets(b, _)) if a == b),
        );
        frames
    })
}

fn frame() -> impl Strategy<Value = OwnedFrame> {
    let kind = prop_oneof![Just(ConnectionKind::Packets), Just(ConnectionKind::Streams)];
    let connection = (1u8..).prop_flat_map(|count| (0..count, Just(count)));
    prop_oneof![
        (any::<u32>(), any::<[u8; 16]>(), connection, kind, any::<u16>(), label()).prop_map(
            |(features, instance, connection, kind, data_mtu, node)| OwnedFrame::Hello {
                features,
                instance,
                connection,
                kind,
                data_mtu,
                node,
            }
        ),
        vec((any::<u16>(), label()), 0..20).prop_map(OwnedFrame::VnetMap),
        (0u16..4, vec(vec(any::<u8>(), 1..200), 1..10)).prop_map(|(vnet, p)| OwnedFrame::Packets(vnet, p)),
        any::<u64>().prop_map(OwnedFrame::Ping),
        any::<u64>().prop_map(OwnedFrame::Pong),
        (any::<u16>(), "\\PC{0,60}").prop_map(|(code, text)| OwnedFrame::Close(code, text)),
        stream_frame(),
        (prop_oneof![Just(0u8), 7u8..16, 21u8..], any::<u8>(), vec(any::<u8>(), 0..50))
            .prop_map(|(number, flags, body)| OwnedFrame::Other(number, flags, body)),
    ]
}

fn stream_frame() -> impl Strategy<Value = OwnedFrame> {
    let id = || 1u32..;
    let protocol = prop_oneof![
        Just(StreamProtocol::Tcp),
        Just(StreamProtocol::Udp),
        Just(StreamProtocol::Ftp),
        Just(StreamProtocol::Tftp),
    ];
    let endpoint = || {
        let address =
            prop_oneof![any::<[u8; 4]>().prop_map(Into::into), any::<[u8; 16]>().prop_map(Into::into)];
        proptest::option::of((address, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port)))
    };
    let target = prop_oneof![
        "[A-Za-z0-9][A-Za-z0-9._-]{0,62}".prop_map(OwnedTarget::Service),
        (prop_oneof!["[a-z0-9.-]{1,253}", "[0-9a-f:]{2,39}"], 1u16..)
            .prop_map(|(host, port)| OwnedTarget::Host(host, port)),
        (id(), 1u16..).prop_map(|(control, port)| OwnedTarget::FtpPassive(control, port)),
        id().prop_map(OwnedTarget::FtpActive),
    ];
    prop_oneof![
        (id(), protocol, endpoint(), endpoint(), target).prop_map(
            |(id, protocol, client, listener, target)| {
                OwnedFrame::StreamOpen(id, protocol, [client, listener], target)
            }
        ),
        (id(), vec(any::<u8>(), 1..200)).prop_map(|(id, bytes)| OwnedFrame::StreamData(id, bytes)),
        (id(), any::<u32>(), any::<bool>())
            .prop_map(|(id, increment, opened)| OwnedFrame::StreamWindow(id, increment, opened)),
        id().prop_map(OwnedFrame::StreamFinish),
        (id(), any::<u16>()).prop_map(|(id, code)| OwnedFrame::StreamReset(id, code)),
    ]
}
