//! A peer's end of one tunnel: as much of a node as completes the handshake, says hello, answers pings and counts packets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gridway_lab::NodeConfig;
use gridway_tunnel::buffer::HEADER_LEN;
use gridway_tunnel::record::record_len;
use gridway_tunnel::{
    Credentials, Event, Handshake, Opened, Progress, RecordBuffer, RecordLayer, Session, SessionOptions,
};
use gridway_wire::frame::{ConnectionKind, VnetId};
use gridway_wire::time::Nanos;

/// How long a TCP connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// MTU that a peer says its data NIC has.
const DATA_MTU: u16 = 1500;

/// What clients share, since each needs it only for a moment.
pub(super) struct Scratch {
    pub(super) read: Box<[u8]>,
    pub(super) record: RecordBuffer,
}

/// One end of a tunnel.
pub(super) struct Client {
    name: String,
    stream: TcpStream,
    stage: Stage,
    /// The beginning of a record.
    input: Vec<u8>,
    /// What the socket had no room for.
    output: Vec<u8>,
}

enum Stage {
    Handshake(Box<Handshake>),
    Session(Box<(RecordLayer, Session)>),
}

impl Client {
    /// Dials `gateway`, whose listener is at `to`, from the network namespace of this thread.
    pub(super) fn dial(name: &str, credentials: &Credentials, gateway: &str, to: SocketAddr) -> Result<Self> {
        let dns_name = format!("{gateway}.{}", NodeConfig::DOMAIN);
        let stream = TcpStream::connect_timeout(&to, CONNECT).with_context(|| format!("{name} to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut handshake = Box::new(Handshake::dial(credentials, &dns_name)?);
        handshake.handle_input(&[])?;
        let output = std::mem::take(handshake.output());
        let stage = Stage::Handshake(handshake);
        let mut client = Self { name: name.to_owned(), stream, stage, input: Vec::new(), output };
        client.send()?;
        Ok(client)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether something waits for room in the socket.
    pub(super) fn wants_to_send(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether the gateway's hello has come.
    pub(super) fn is_up(&self) -> bool {
        matches!(&self.stage, Stage::Session(session) if session.1.is_up())
    }

    /// Takes in what has come and answers; how many packets were in it.
    pub(super) fn turn(&mut self, scratch: &mut Scratch, now: Nanos) -> Result<u64> {
        let mut packets = 0;
        loop {
            match self.stream.read(&mut scratch.read) {
                Ok(0) => bail!("the gateway closed the connection"),
                Ok(len) => {
                    packets += self.take(&scratch.read[..len], &mut scratch.record, now)?;
                    if len < scratch.read.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.send()?;
        Ok(packets)
    }

    fn take(&mut self, bytes: &[u8], record: &mut RecordBuffer, now: Nanos) -> Result<u64> {
        if let Stage::Handshake(handshake) = &mut self.stage {
            let progress = handshake.handle_input(bytes)?;
            self.output.append(handshake.output());
            let Progress::Done(established) = progress else { return Ok(0) };
            established.identity.context("the gateway's certificate")?;
            self.input = established.leftover;
            let session = Session::new(options(&self.name), vec![(VnetId(0), super::VNET.to_owned())], now);
            self.stage = Stage::Session(Box::new((established.records, session)));
        } else {
            self.input.extend_from_slice(bytes);
        }
        self.take_records(record, now)
    }

    fn take_records(&mut self, record: &mut RecordBuffer, now: Nanos) -> Result<u64> {
        let Stage::Session(session) = &mut self.stage else { return Ok(0) };
        let (records, session) = &mut **session;
        let mut at = 0;
        while let Some(len) = record_len(&self.input[at..])? {
            let Some(whole) = self.input.get_mut(at..at + len) else { break };
            match records.open(whole)? {
                Opened::Frames(len) => session.handle_record(&whole[HEADER_LEN..HEADER_LEN + len], now)?,
                Opened::Internal { .. } => {}
                Opened::CloseNotify => bail!("the gateway ended the tunnel"),
            }
            at += len;
        }
        self.input.drain(..at);
        while let Some(event) = session.poll_event() {
            if matches!(event, Event::Hello(_)) {
                session.accept();
            }
        }
        if session.owes() {
            record.clear();
            session.write_owed(record, now);
            records.seal(record)?;
            self.output.extend_from_slice(record.sealed());
        }
        Ok(session.take_received().0)
    }

    fn send(&mut self) -> Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(len) => drop(self.output.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Pings are the gateway's; time-outs of this end are never asked for.
fn options(name: &str) -> SessionOptions {
    SessionOptions {
        node: name.to_owned(),
        instance: [0; 16],
        dialled: true,
        index: 0,
        count: 1,
        kind: ConnectionKind::Packets,
        data_mtu: DATA_MTU,
        ping_interval: CONNECT,
        dead_after: CONNECT,
    }
}
