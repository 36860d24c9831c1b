//! The socket towards an IPFIX collector.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime};

use gridway_ipfix::{Exporter, Flow, Moment};
use gridway_proxy::socket::bound;
use gridway_wire::time::Nanos;
use socket2::{Protocol, Type};

use super::complaint::Complaint;

/// A node is one observation domain.
const DOMAIN: u32 = 1;
/// How often opening the socket is tried.
const RETRY: Duration = Duration::from_secs(1);
/// How long the network card may take for what is in the socket's buffer.
const PATIENCE: Duration = Duration::from_millis(100);

/// A collector, and what is on its way there.
#[derive(Debug)]
pub(super) struct Collector {
    address: SocketAddr,
    exporter: Exporter,
    line: Line,
}

#[derive(Debug)]
struct Line {
    address: SocketAddr,
    device: String,
    socket: Option<UdpSocket>,
    retry: Nanos,
    /// Records of the last message: lost if the next one meets the collector's refusal.
    last: u64,
    complaint: Complaint,
}

/// What became of a message.
struct Sent {
    lost: u64,
    /// The collector may know no templates.
    anew: bool,
}

impl Collector {
    /// A collector that is reached by way of `device` alone.
    pub(super) fn new(address: SocketAddr, device: &str) -> Self {
        let device = device.to_owned();
        let (last, retry) = (0, Nanos::default());
        let line = Line { address, device, socket: None, retry, last, complaint: Complaint::default() };
        Self { address, exporter: Exporter::new(DOMAIN), line }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a flow, with others or at the next [`Self::flush`]; gives how many records were lost.
    pub(super) fn push(&mut self, flow: &Flow<'_>, now: Nanos) -> u64 {
        self.export(now, |exporter, at, send| exporter.push(flow, at, send))
    }

    /// Sends what waits; gives how many records were lost.
    pub(super) fn flush(&mut self, now: Nanos) -> u64 {
        self.export(now, |exporter, at, send| exporter.flush(at, send))
    }

    fn export(
        &mut self,
        now: Nanos,
        act: impl FnOnce(&mut Exporter, Moment, &mut dyn FnMut(&[u8], u32)),
    ) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // The protocol's seconds end in 2106.
        let at = Moment { now, unix_s: u32::try_from(since.as_secs()).unwrap_or(u32::MAX) };
        let (mut lost, mut anew) = (0, false);
        let Self { exporter, line, .. } = self;
        act(exporter, at, &mut |message, records| {
            let sent = line.send(message, records.into(), now);
            lost += sent.lost;
            anew |= sent.anew;
        });
        if anew {
            exporter.repeat_templates();
        }
        lost
    }
}

impl Line {
    fn send(&mut self, message: &[u8], records: u64, now: Nanos) -> Sent {
        self.reopen(now);
        let before = std::mem::take(&mut self.last);
        let Some(socket) = &self.socket else { return Sent { lost: records, anew: true } };
        let mut sent = Sent { lost: 0, anew: false };
        let mut outcome = socket.send(message);
        if let Err(refusal) = &outcome
            && refusal.kind() == ErrorKind::ConnectionRefused
        {
            // What the collector's host refused is the message before; this one has not left.
            complain(&mut self.complaint, self.address, refusal, now);
            sent = Sent { lost: before, anew: true };
            outcome = socket.send(message);
        }
        match outcome {
            Ok(_) => self.last = records,
            Err(error) => {
                complain(&mut self.complaint, self.address, &error, now);
                if !matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::WouldBlock) {
                    // The device may have gone and come again.
                    self.socket = None;
                }
                sent = Sent { lost: sent.lost + records, anew: true };
            }
        }
        sent
    }

    fn reopen(&mut self, now: Nanos) {
        if self.socket.is_some() || now < self.retry {
            return;
        }
        self.retry = now + RETRY;
        match open(self.address, &self.device) {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => complain(&mut self.complaint, self.address, &error, now),
        }
    }
}

fn complain(complaint: &mut Complaint, collector: SocketAddr, error: &io::Error, now: Nanos) {
    if complaint.may_be_said(now) {
        tracing::warn!(%error, %collector, "cannot send the flow log");
    }
}

fn open(address: SocketAddr, device: &str) -> io::Result<UdpSocket> {
    let socket = bound(address, Type::DGRAM, Protocol::UDP, device)?;
    socket.set_nonblocking(false)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}
