//! What two nodes say to each other over an established connection, besides packets.

use std::collections::VecDeque;
use std::time::Duration;

use gridway_wire::frame::{
    Close, CloseReason, ConnectionKind, Frame, FrameError, FrameReader, Full, Hello, MAX_VNET_MAP_ENTRIES,
    VnetId, VnetMapEntry,
};
use gridway_wire::time::Nanos;

use crate::buffer::RecordBuffer;
use crate::streams::StreamError;

/// How long a peer may take from the end of the handshake to its hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection says of this node and expects of the peer.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Name of this node.
    pub node: String,
    /// Random id of this process.
    pub instance: [u8; 16],
    /// Whether this node dialled. The dialler speaks first and numbers the connection; the acceptor
    /// answers with the same numbers.
    pub dialled: bool,
    /// Index of a dialled connection among those with the peer.
    pub index: u8,
    /// Connections of this kind that a dialler means to have with the peer.
    pub count: u8,
    /// What a dialled connection carries; an acceptor learns it from the hello.
    pub kind: ConnectionKind,
    /// MTU of the data NIC, in bytes.
    pub data_mtu: u16,
    /// Time between pings.
    pub ping_interval: Duration,
    /// Silence after which the peer is dead.
    pub dead_after: Duration,
}

/// A hello, as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerHello {
    /// Name the peer gives itself; must be that of its certificate.
    pub node: String,
    /// Random id of the peer's process.
    pub instance: [u8; 16],
    /// Index of the connection.
    pub index: u8,
    /// What the connection carries.
    pub kind: ConnectionKind,
    /// MTU of the peer's data NIC, in bytes.
    pub data_mtu: u16,
}

/// Something the owner of the connection must act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer introduced itself: judge it, then [`Session::accept`] or [`Session::close`].
    Hello(PeerHello),
    /// The peer's vnets, by the ids it uses; replaces what it said before.
    VnetMap(Vec<(VnetId, String)>),
    /// A ping was answered after this time.
    RoundTrip(Duration),
}

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// Nothing was received for `dead_after`.
    #[error("nothing received for {0:?}")]
    Dead(Duration),
    /// No hello in time.
    #[error("no hello in time")]
    NoHello,
    /// The peer said why it ends the connection.
    #[error("peer closed: {}{}{text}", reason.name(), if text.is_empty() { "" } else { ": " })]
    ByPeer {
        /// Its reason.
        reason: CloseReason,
        /// Its words.
        text: String,
    },
    /// The peer speaks another version of the protocol.
    #[error(
        "peer speaks version {found} of the tunnel protocol, this node {}",
        gridway_wire::frame::PROTOCOL_VERSION
    )]
    Version {
        /// The peer's version.
        found: u16,
    },
    /// The peer's frames do not parse.
    #[error("peer broke the protocol: {0}")]
    Frame(FrameError),
    /// The peer's frames come in an order that makes no sense.
    #[error("peer broke the protocol: {0}")]
    Order(&'static str),
    /// The peer does with streams what it cannot mean.
    #[error("peer broke the protocol: {0}")]
    Stream(#[from] StreamError),
}

impl Closed {
    /// What the peer is told, if there is a point in telling it.
    #[must_use]
    pub fn notice(&self) -> Option<CloseReason> {
        match self {
            Self::Dead(_) | Self::ByPeer { .. } => None,
            Self::Version { .. } => Some(CloseReason::VersionMismatch),
            Self::NoHello | Self::Frame(_) | Self::Order(_) | Self::Stream(_) => {
                Some(CloseReason::ProtocolError)
            }
        }
    }
}

/// The protocol state of one connection.
#[derive(Debug)]
pub struct Session {
    options: SessionOptions,
    up: bool,
    hello_seen: bool,
    hello_sent: bool,
    opened: Nanos,
    last_received: Nanos,
    next_ping: Nanos,
    owed: Owed,
    partial_map: Vec<(VnetId, String)>,
    events: VecDeque<Event>,
    unknown_frames: u64,
    received: (u64, u64),
}

/// Control frames that are due.
#[derive(Debug, Default)]
struct Owed {
    hello: bool,
    vnets: Option<Vec<(VnetId, String)>>,
    /// Part of `vnets` was written.
    vnets_begun: bool,
    /// What is announced after `vnets`.
    next_vnets: Option<Vec<(VnetId, String)>>,
    ping: bool,
    pong: Option<u64>,
    close: Option<(CloseReason, String)>,
}

impl Session {
    /// A session on a connection whose handshake ended now. `vnets` are announced behind the hello.
    #[must_use]
    pub fn new(options: SessionOptions, vnets: Vec<(VnetId, String)>, now: Nanos) -> Self {
        let next_ping = now + options.ping_interval;
        Self {
            owed: Owed { hello: options.dialled, vnets: Some(vnets), ..Owed::default() },
            options,
            up: false,
            hello_seen: false,
            hello_sent: false,
            opened: now,
            last_received: now,
            next_ping,
            partial_map: Vec::new(),
            events: VecDeque::new(),
            unknown_frames: 0,
            received: (0, 0),
        }
    }

    /// Whether the peer's hello was accepted: only then do packets pass.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// What the connection carries, known when the peer's hello was seen or this node dialled.
    #[must_use]
    pub fn kind(&self) -> ConnectionKind {
        self.options.kind
    }

    /// The owner accepts the peer.
    pub fn accept(&mut self) {
        self.up = true;
    }

    /// The owner ends the connection: the peer is told why by the next [`Self::write_owed`].
    pub fn close(&mut self, reason: CloseReason, text: &str) {
        self.owed = Owed { close: Some((reason, text.to_owned())), ..Owed::default() };
    }

    /// Announces vnets anew, after a change of configuration.
    pub fn announce(&mut self, vnets: Vec<(VnetId, String)>) {
        if self.options.kind == ConnectionKind::Streams {
            return;
        }
        // A map that was begun must end first: the peer would take both for one.
        let owed = &mut self.owed;
        *if owed.vnets_begun { &mut owed.next_vnets } else { &mut owed.vnets } = Some(vnets);
    }

    /// The next thing to act on.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether the owner must act before the next record is handled: it may hold packets that belong
    /// behind the peer's acceptance or its vnets.
    #[must_use]
    pub fn needs_owner(&self) -> bool {
        self.events.iter().any(|event| !matches!(event, Event::RoundTrip(_)))
    }

    /// Packets, and their bytes, received since the last call.
    pub fn take_received(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.received)
    }

    /// Frames of unknown types since the last call.
    pub fn take_unknown_frames(&mut self) -> u64 {
        std::mem::take(&mut self.unknown_frames)
    }

    /// Handles the control frames of an opened record; packets are the data worker's, streams the owner's.
    ///
    /// # Errors
    /// [`Closed`]: the connection must end.
    pub fn handle_record(&mut self, plaintext: &[u8], now: Nanos) -> Result<(), Closed> {
        self.last_received = now;
        for frame in FrameReader::new(plaintext) {
            self.handle_frame(frame.map_err(closed_by)?, now)?;
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: Frame<'_>, now: Nanos) -> Result<(), Closed> {
        match frame {
            Frame::Close(Close { reason, text }) => Err(Closed::ByPeer { reason, text: printable(text) }),
            Frame::Hello(_) if self.hello_seen => Err(Closed::Order("a second hello")),
            Frame::Hello(hello) => {
                self.hello_seen = true;
                let expected = (self.options.index, self.options.kind);
                if self.options.dialled && (hello.connection_index, hello.connection_kind) != expected {
                    return Err(Closed::Order("a hello for another connection"));
                }
                if !self.options.dialled {
                    (self.options.index, self.options.count, self.options.kind) =
                        (hello.connection_index, hello.connection_count, hello.connection_kind);
                    self.owed.hello = true;
                }
                if self.options.kind == ConnectionKind::Streams {
                    self.owed.vnets = None;
                }
                self.events.push_back(Event::Hello(PeerHello {
                    node: hello.node.to_ascii_lowercase(),
                    instance: hello.instance,
                    index: hello.connection_index,
                    kind: hello.connection_kind,
                    data_mtu: hello.data_mtu,
                }));
                Ok(())
            }
            _ if !self.hello_seen => Err(Closed::Order("a frame before the hello")),
            Frame::VnetMap(map) => {
                if self.partial_map.len() + map.len() > MAX_VNET_MAP_ENTRIES {
                    return Err(Closed::Order("more vnets than the protocol allows"));
                }
                self.partial_map.extend(map.iter().map(|entry| (entry.id, entry.name.to_owned())));
                if !map.more {
                    // Only the latest matters: a peer cannot make the queue of events grow.
                    self.events.retain(|event| !matches!(event, Event::VnetMap(_)));
                    self.events.push_back(Event::VnetMap(std::mem::take(&mut self.partial_map)));
                }
                Ok(())
            }
            Frame::Ping(token) => {
                self.owed.pong = Some(token);
                Ok(())
            }
            Frame::Pong(token) => {
                // The token is our own clock; a peer that invents one only lies about itself.
                self.events.retain(|event| !matches!(event, Event::RoundTrip(_)));
                self.events.push_back(Event::RoundTrip(now.since(Nanos(token))));
                Ok(())
            }
            Frame::Packets(_) if self.options.kind == ConnectionKind::Streams => {
                Err(Closed::Order("packets on a connection for streams"))
            }
            Frame::Stream(_) if self.options.kind == ConnectionKind::Packets => {
                Err(Closed::Order("a stream on a connection for packets"))
            }
            // The owner's.
            Frame::Stream(_) => Ok(()),
            Frame::Packets(packets) => {
                self.received.0 += packets.len() as u64;
                self.received.1 += packets.iter().map(|packet| packet.len() as u64).sum::<u64>();
                Ok(())
            }
            // Unknown types, and reserved ones of functions that this version does not have.
            Frame::Other { .. } => {
                self.unknown_frames += 1;
                Ok(())
            }
        }
    }

    /// Keeps time: decides what is due.
    ///
    /// # Errors
    /// [`Closed::Dead`] or [`Closed::NoHello`].
    pub fn handle_timeout(&mut self, now: Nanos) -> Result<(), Closed> {
        if !self.hello_seen && now.since(self.opened) >= self.options.dead_after.min(HELLO_TIMEOUT) {
            return Err(Closed::NoHello);
        }
        if now.since(self.last_received) >= self.options.dead_after {
            return Err(Closed::Dead(self.options.dead_after));
        }
        if now >= self.next_ping {
            self.owed.ping = true;
            self.next_ping = now + self.options.ping_interval;
        }
        Ok(())
    }

    /// When [`Self::handle_timeout`] should be called next.
    #[must_use]
    pub fn next_timeout(&self) -> Nanos {
        let due = self.next_ping.min(self.last_received + self.options.dead_after);
        if self.hello_seen { due } else { due.min(self.opened + self.options.dead_after.min(HELLO_TIMEOUT)) }
    }

    /// Whether control frames are due.
    #[must_use]
    pub fn owes(&self) -> bool {
        let owed = &self.owed;
        if !self.hello_sent {
            return owed.hello || owed.close.is_some();
        }
        owed.hello || owed.vnets.is_some() || owed.ping || owed.pong.is_some() || owed.close.is_some()
    }

    /// Writes the control frames that are due into `record`, as many as fit.
    pub fn write_owed(&mut self, record: &mut RecordBuffer, now: Nanos) {
        // What does not fit stays owed and goes into the next record.
        let Self { options, owed, hello_sent, .. } = self;
        let _full: Result<(), Full> = record.push_frames(|writer| {
            if owed.hello {
                writer.hello(&Hello {
                    features: 0,
                    instance: options.instance,
                    connection_index: options.index,
                    connection_count: options.count,
                    connection_kind: options.kind,
                    data_mtu: options.data_mtu,
                    node: &options.node,
                })?;
                (owed.hello, *hello_sent) = (false, true);
            }
            if let Some((reason, text)) = &owed.close {
                writer.close(&Close { reason: *reason, text })?;
                owed.close = None;
            }
            // The hello is the first frame of either side.
            if !*hello_sent {
                return Ok(());
            }
            if let Some(vnets) = &mut owed.vnets {
                let entries: Vec<_> = vnets.iter().map(|(id, name)| VnetMapEntry { id: *id, name }).collect();
                let written = writer.vnet_map(&entries)?;
                vnets.drain(..written);
                owed.vnets_begun = !vnets.is_empty();
                if !owed.vnets_begun {
                    owed.vnets = owed.next_vnets.take();
                }
            }
            if owed.ping {
                writer.ping(now.0)?;
                owed.ping = false;
            }
            if let Some(token) = owed.pong {
                writer.pong(token)?;
                owed.pong = None;
            }
            Ok(())
        });
    }
}

fn closed_by(error: FrameError) -> Closed {
    match error {
        FrameError::UnsupportedVersion { found } => Closed::Version { found },
        error => Closed::Frame(error),
    }
}

/// Text from a peer, safe for a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
