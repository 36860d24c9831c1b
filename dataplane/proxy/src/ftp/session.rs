//! A session from end to end on memory alone, for tests: both machines with a tunnel between them, and owners that open
//! each listener at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use gridway_wire::time::Nanos;

use super::{Far, FarEvent, FtpError, MEMORY_LIMIT, Near, NearEvent, Output};

/// The one moment of all sessions.
const NOW: Nanos = Nanos(1);
/// Port of the first listener at the near node; each event moves it by one.
const NEAR_PORT: u16 = 51_000;
/// Port of the first listener at the far node; each event moves it by one.
const FAR_PORT: u16 = 52_000;

/// Addresses of both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The client.
    pub client: SocketAddr,
    /// The near node, as the client reaches it.
    pub near: IpAddr,
    /// The far node, as the server sees it.
    pub far: IpAddr,
}

impl Site {
    /// Each side over IPv4 (10.1.0.0/24, 10.2.0.0/24) or over IPv6 (fd00:1::/64, fd00:2::/64); the nodes are 1, the client
    /// is 2.
    #[must_use]
    pub fn new(client_is_ipv6: bool, server_is_ipv6: bool) -> Self {
        let address = |is_ipv6, net: u8, host: u8| -> IpAddr {
            match is_ipv6 {
                false => Ipv4Addr::new(10, net, 0, host).into(),
                true => Ipv6Addr::new(0xfd00, net.into(), 0, 0, 0, 0, 0, host.into()).into(),
            }
        };
        Self {
            client: SocketAddr::new(address(client_is_ipv6, 1, 2), 40000),
            near: address(client_is_ipv6, 1, 1),
            far: address(server_is_ipv6, 2, 1),
        }
    }
}

/// The port of a listener after that many events.
fn port(first: u16, events: usize) -> u16 {
    first + (events % 10_000) as u16
}

/// Who sent what a node reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    End,
    Node,
}

/// A session from end to end. Everything that was sent or asked for stays to be looked at.
#[derive(Clone, Debug)]
pub struct Session {
    site: Site,
    /// The client's node.
    pub near: Near,
    /// The server's node.
    pub far: Far,
    /// What the client received.
    pub client: Vec<u8>,
    /// What the server received.
    pub server: Vec<u8>,
    /// What the near node was asked for.
    pub near_events: Vec<NearEvent>,
    /// What the far node was asked for.
    pub far_events: Vec<FarEvent>,
    /// The first error of either node.
    pub error: Option<FtpError>,
    /// Whether it was met in what the other node had sent.
    pub nodes_disagree: bool,
    /// Whether listeners can be opened.
    pub listens: bool,
}

impl Session {
    /// A session that has just begun: the server has not greeted yet.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self {
            site,
            near: Near::new(site.client),
            far: Far::new(site.far.is_ipv6()),
            client: Vec::new(),
            server: Vec::new(),
            near_events: Vec::new(),
            far_events: Vec::new(),
            error: None,
            nodes_disagree: false,
            listens: true,
        }
    }

    /// The client sends bytes.
    ///
    /// # Panics
    /// When a machine breaks a promise.
    pub fn client_sends(&mut self, bytes: &[u8]) {
        let mut out = Output::default();
        let result = self.near.client_bytes(bytes, NOW, &mut out);
        self.after_near(result, Origin::End, out);
    }

    /// The server sends bytes.
    ///
    /// # Panics
    /// When a machine breaks a promise.
    pub fn server_sends(&mut self, bytes: &[u8]) {
        let mut out = Output::default();
        let result = self.far.server_bytes(bytes, NOW, &mut out);
        self.after_far(result, Origin::End, out);
    }

    fn note(&mut self, result: Result<(), FtpError>, origin: Origin) {
        if let (None, Err(error)) = (self.error, result) {
            self.error = Some(error);
            self.nodes_disagree = origin == Origin::Node;
        }
    }

    fn after_near(&mut self, result: Result<(), FtpError>, origin: Origin, out: Output<NearEvent>) {
        assert!(self.near.held() <= MEMORY_LIMIT);
        self.note(result, origin);
        self.client.extend(out.to_client);
        for event in out.events {
            let listener = SocketAddr::new(self.site.near, port(NEAR_PORT, self.near_events.len()));
            self.near_events.push(event);
            assert!(self.near.server_blocked());
            let mut out = Output::default();
            let result = match self.listens {
                true => self.near.passive_listening(listener, NOW, &mut out),
                false => self.near.passive_failed(NOW, &mut out),
            };
            self.after_near(result, Origin::Node, out);
        }
        if !out.to_server.is_empty() {
            let mut far = Output::default();
            let result = self.far.client_bytes(&out.to_server, NOW, &mut far);
            self.after_far(result, Origin::Node, far);
        }
    }

    fn after_far(&mut self, result: Result<(), FtpError>, origin: Origin, out: Output<FarEvent>) {
        assert!(self.far.held() <= MEMORY_LIMIT);
        self.note(result, origin);
        self.server.extend(out.to_server);
        if !out.to_client.is_empty() {
            let mut near = Output::default();
            let result = self.near.server_bytes(&out.to_client, NOW, &mut near);
            self.after_near(result, Origin::Node, near);
        }
        for event in out.events {
            if let FarEvent::Active { .. } = event {
                let listener = SocketAddr::new(self.site.far, port(FAR_PORT, self.far_events.len()));
                self.far_events.push(event);
                assert!(self.far.client_blocked());
                let mut out = Output::default();
                let result = match self.listens {
                    true => self.far.active_listening(listener, NOW, &mut out),
                    false => self.far.active_failed(NOW, &mut out),
                };
                self.after_far(result, Origin::Node, out);
            } else {
                self.far_events.push(event);
            }
        }
    }
}

/// A piece of what reaches a node, and whether it comes from the client's side.
pub type Piece<'a> = (bool, &'a [u8]);

/// All that a near node does when it is handed these pieces, whatever the far node would do, and its first error.
pub fn near_alone<'a>(
    site: Site,
    pieces: impl IntoIterator<Item = Piece<'a>>,
) -> (Output<NearEvent>, Option<FtpError>) {
    let mut near = Near::new(site.client);
    let mut out = Output::default();
    for (from_client, bytes) in pieces {
        let mut result = match from_client {
            true => near.client_bytes(bytes, NOW, &mut out),
            false => near.server_bytes(bytes, NOW, &mut out),
        };
        while result.is_ok() && near.server_blocked() {
            let listener = SocketAddr::new(site.near, port(NEAR_PORT, out.events.len()));
            result = near.passive_listening(listener, NOW, &mut out);
        }
        if let Err(error) = result {
            return (out, Some(error));
        }
    }
    (out, None)
}

/// All that a far node does when it is handed these pieces, whatever the near node would do, and its first error.
pub fn far_alone<'a>(
    site: Site,
    pieces: impl IntoIterator<Item = Piece<'a>>,
) -> (Output<FarEvent>, Option<FtpError>) {
    let mut far = Far::new(site.far.is_ipv6());
    let mut out = Output::default();
    for (from_client, bytes) in pieces {
        let mut result = match from_client {
            true => far.client_bytes(bytes, NOW, &mut out),
            false => far.server_bytes(bytes, NOW, &mut out),
        };
        while result.is_ok() && far.client_blocked() {
            let listener = SocketAddr::new(site.far, port(FAR_PORT, out.events.len()));
            result = far.active_listening(listener, NOW, &mut out);
        }
        if let Err(error) = result {
            return (out, Some(error));
        }
    }
    (out, None)
}
