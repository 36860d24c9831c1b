//! A peer's end of one tunnel: as much of a node as completes the handshake, says hello, answers pings and counts packets.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
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
use mio::net::TcpStream;

/// How long a TCP connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// MTU that a peer says its data NIC has.
const DATA_MTU: u16 = 1500;

/// Bytes read at once.
const READ: usize = 64 << 10;

/// What clients share, since each needs it only for a moment.
pub(super) struct Scratch {
    read: Box<[u8]>,
    record: RecordBuffer,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { read: vec![0; READ].into_boxed_slice(), record: RecordBuffer::new() }
    }
}

/// One end of a tunnel.
pub(super) struct Client<S = TcpStream> {
    name: String,
    stream: S,
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
        let stream =
            std::net::TcpStream::connect_timeout(&to, CONNECT).with_context(|| format!("{name} to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Self::over(TcpStream::from_std(stream), name, credentials, gateway)
    }
}

impl<S: Read + Write> Client<S> {
    /// Dials `gateway` over a connection that does not block.
    fn over(stream: S, name: &str, credentials: &Credentials, gateway: &str) -> Result<Self> {
        let dns_name = format!("{gateway}.{}", NodeConfig::DOMAIN);
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

    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Whether the gateway's hello has come.
    pub(super) fn is_up(&self) -> bool {
        matches!(&self.stage, Stage::Session(session) if session.1.is_up())
    }

    /// Takes in all that has come and answers; how many packets were in it.
    pub(super) fn turn(&mut self, scratch: &mut Scratch, now: Nanos) -> Result<u64> {
        let mut packets = 0;
        loop {
            match self.stream.read(&mut scratch.read) {
                Ok(0) => bail!("the gateway closed the connection"),
                Ok(len) => packets += self.take(&scratch.read[..len], &mut scratch.record, now)?,
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::SystemTime;

    use gridway_pki::{Authority, Validity};
    use gridway_tunnel::{Established, Source};

    use super::super::clients::credentials_of;
    use super::*;

    const NOW: Nanos = Nanos(1_000);
    /// More turns than either end needs.
    const TURNS: usize = 20;

    fn available(mut stream: &UnixStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        // It ends with the error that nothing more is there.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }

    /// A client and the gateway's end of its tunnel, after the handshake.
    fn tunnel() -> (Client<UnixStream>, UnixStream, Box<Established>, Scratch) {
        let authority = Authority::generate("laboratory", Validity::days(SystemTime::now(), 1)).unwrap();
        let [ours, theirs] = ["peer-7", "gw-a"].map(|node| credentials_of(&authority, node).unwrap());
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        let mut client = Client::over(near, "peer-7", &ours, "gw-a").unwrap();
        let (mut handshake, mut scratch) = (Handshake::accept(&theirs).unwrap(), Scratch::new());
        for _ in 0..TURNS {
            let progress = handshake.handle_input(&available(&far)).unwrap();
            (&far).write_all(&std::mem::take(handshake.output())).unwrap();
            if let Progress::Done(established) = progress {
                return (client, far, established, scratch);
            }
            assert_eq!(client.turn(&mut scratch, NOW).unwrap(), 0);
        }
        panic!("the handshake does not end");
    }

    /// What the gateway's end hears, once it is given what has come.
    fn hear(session: &mut Session, records: &mut RecordLayer, mut input: Vec<u8>) -> Vec<Event> {
        let mut rest = &mut input[..];
        while let Some(len) = record_len(rest).unwrap() {
            let (whole, behind) = rest.split_at_mut(len);
            let Opened::Frames(len) = records.open(whole).unwrap() else { panic!("not frames") };
            session.handle_record(&whole[HEADER_LEN..HEADER_LEN + len], NOW).unwrap();
            rest = behind;
        }
        std::iter::from_fn(|| session.poll_event()).collect()
    }

    #[test]
    fn says_hello_counts_packets_and_answers_pings() {
        let (mut client, far, established, mut scratch) = tunnel();
        let Established { mut records, identity, leftover } = *established;
        assert_eq!(identity.unwrap().node_in(NodeConfig::DOMAIN), Some("peer-7"));
        let options = SessionOptions { dialled: false, ..options("gw-a") };
        let mut session = Session::new(options, Vec::new(), NOW);
        client.turn(&mut scratch, NOW).unwrap();
        let events = hear(&mut session, &mut records, [leftover, available(&far)].concat());
        assert!(matches!(&events[0], Event::Hello(hello) if hello.node == "peer-7"), "{events:?}");
        assert!(!client.is_up());

        let mut record = RecordBuffer::new();
        session.write_owed(&mut record, NOW);
        for _ in 0..3 {
            record.push_packet(VnetId(0), &[0x45; 46], Source::Local).unwrap();
        }
        record.push_frames(|writer| writer.ping(NOW.0)).unwrap();
        records.seal(&mut record).unwrap();
        // A record may come in pieces.
        let (first, rest) = record.sealed().split_at(7);
        (&far).write_all(first).unwrap();
        assert_eq!(client.turn(&mut scratch, NOW).unwrap(), 0);
        (&far).write_all(rest).unwrap();
        assert_eq!(client.turn(&mut scratch, NOW).unwrap(), 3);
        assert!(client.is_up());
        let events = hear(&mut session, &mut records, available(&far));
        assert_eq!(events, [Event::RoundTrip(Duration::ZERO)]);

        drop(far);
        assert!(client.turn(&mut scratch, NOW).is_err());
    }
}
