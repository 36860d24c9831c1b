//! Connectors and services beside what else carries TCP connections in mutual TLS.
//!
//! As in [`crate::peers`] every contender has its turn in each round, with the same servers on h2 and the same clients
//! on h1, and ratios are taken within a round.

mod page;
mod ping_pong;
mod sessions;
mod web;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::{EchoServer, Lab, Side};
use serde::Serialize;

use crate::contender::{Contender, ECHO, Proxy};
use crate::lab::{LOADED_INTERVAL, STREAMS, beside_tcp, over_narrow_wan, tcp};
use crate::machine::{Machine, raise_open_files};
use crate::report;
use crate::rounds::rounds;
use ping_pong::{RoundTrip, ping_pong};
use sessions::idle_session;
use web::{Requests, WebServer, Wrk};

/// Connections over which requests are sent at once.
const CONNECTIONS: u32 = 1000;
/// Connections that are made at once, each for a single request.
const CONNECTING: u32 = 64;
/// Round trips while nothing else is sent, and the time between two of them.
const IDLE: Duration = Duration::from_secs(2);
const IDLE_INTERVAL: Duration = Duration::from_millis(4);

/// How much is measured.
struct Extent {
    rounds: usize,
    tcp: Duration,
    web: Duration,
    loaded: Duration,
}

impl Extent {
    fn of(quick: bool) -> Self {
        let seconds = Duration::from_secs;
        if quick {
            Self { rounds: 2, tcp: seconds(3), web: seconds(3), loaded: seconds(6) }
        } else {
            Self { rounds: 5, tcp: seconds(4), web: seconds(4), loaded: seconds(8) }
        }
    }
}

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    conditions: String,
    contenders: Vec<Figures>,
}

/// What was measured of one contender, a figure a round.
#[derive(Debug, Serialize)]
struct Figures {
    contender: &'static str,
    version: String,
    /// Mbit/s of one TCP stream.
    tcp: Vec<f64>,
    /// Mbit/s of eight TCP streams together.
    tcp_streams: Vec<f64>,
    /// Requests over connections that stay.
    requests: Vec<Requests>,
    /// Requests of which each makes a connection of its own.
    connections: Vec<Requests>,
    /// KiB of one more idle session, of both ends together; nothing for the kernel, which keeps none.
    session_kib: Vec<f64>,
    idle: Vec<RoundTrip>,
    loaded: Vec<Loaded>,
}

/// Round trips beside one TCP stream that fills a narrow WAN.
#[derive(Debug, Serialize)]
struct Loaded {
    mbps: f64,
    round_trip: RoundTrip,
}

/// Measures, prints, and keeps the figures.
pub(crate) fn run(quick: bool, results: &Path) -> Result<()> {
    let (extent, machine) = (Extent::of(quick), Machine::here());
    let contenders: Vec<Contender> = [Contender::Connectors, Contender::Edge, Contender::Kernel]
        .into_iter()
        .chain(Proxy::ALL.map(Contender::Proxy))
        .collect();
    let mut figures: Vec<Figures> = contenders.iter().map(|contender| Figures::none(*contender)).collect();
    raise_open_files()?;
    let lab = Lab::new().context("cannot build the laboratory")?;
    let web_server = make_room_for_connections(&lab).and_then(|()| WebServer::start(&lab))?;
    let _echo_server = EchoServer::tcp(lab.h2(), SocketAddr::from((Side::B.host(0), ECHO)))?;
    rounds(extent.rounds, contenders.len(), |number| {
        let contender = contenders[number];
        figures[number]
            .measure(contender, &lab, &extent)
            .with_context(|| format!("cannot measure {}", contender.name()))
    })?;
    drop(web_server);
    let name = &report::name("layer4", quick);
    let conditions = format!(
        "{} rounds, TCP {} s, requests {} s, under load {} s; the two ends are pinned to different cores",
        extent.rounds,
        extent.tcp.as_secs(),
        extent.web.as_secs(),
        extent.loaded.as_secs()
    );
    let measured = Results { machine, conditions, contenders: figures };
    println!("\n{}", measured.tables());
    measured.draw(results, name)?;
    report::write(&results.join(format!("{name}.md")), &measured.page(name))?;
    report::write_json(&results.join(format!("{name}.json")), &measured)
}

/// Thousands of connections a second between the same two addresses need more ports than the kernel gives at first,
/// and those of closed connections again before a minute has passed.
fn make_room_for_connections(lab: &Lab) -> Result<()> {
    for namespace in lab.namespaces() {
        namespace.sysctl("net/ipv4/ip_local_port_range", "10000 65535")?;
        namespace.sysctl("net/ipv4/tcp_tw_reuse", "1")?;
    }
    Ok(())
}

impl Figures {
    fn none(contender: Contender) -> Self {
        Self {
            contender: contender.name(),
            version: contender.version(),
            tcp: Vec::new(),
            tcp_streams: Vec::new(),
            requests: Vec::new(),
            connections: Vec::new(),
            session_kib: Vec::new(),
            idle: Vec::new(),
            loaded: Vec::new(),
        }
    }

    /// One round.
    fn measure(&mut self, contender: Contender, lab: &Lab, extent: &Extent) -> Result<()> {
        let running = contender.start(lab)?;
        let round_trips = |duration, interval| ping_pong(lab, contender, duration, interval);
        // First, while no queue is left over from a transfer, nor memory from earlier sessions.
        let idle = round_trips(IDLE, IDLE_INTERVAL)?;
        let session = idle_session(lab, contender, &running.pids())?;
        let tcp = |streams| tcp(lab, contender, extent.tcp, streams);
        let (one, many) = (tcp(1)?, tcp(STREAMS)?);
        let wrk = Wrk::new(contender, extent.web);
        let requests = wrk.connections(CONNECTIONS).run(lab)?;
        let connections = wrk.connections(CONNECTING).closing().run(lab)?;
        // While it runs, the WAN becomes narrow.
        let (mbps, round_trip) = over_narrow_wan(lab, || {
            beside_tcp(lab, contender, extent.loaded, 1, || round_trips(extent.loaded, LOADED_INTERVAL))
        })?;
        running.stop()?;
        println!(
            "  {:<30} {one:>6.0} Mbit/s, {STREAMS} streams {many:>6.0}, {requests}, new connections {connections}, session {} KiB, idle {idle}, loaded {mbps:.0} Mbit/s, {round_trip}",
            self.contender,
            session.map_or("-".to_owned(), |kib| format!("{kib:.1}"))
        );
        self.tcp.push(one);
        self.tcp_streams.push(many);
        self.requests.push(requests);
        self.connections.push(connections);
        self.session_kib.extend(session);
        self.idle.push(idle);
        self.loaded.push(Loaded { mbps, round_trip });
        Ok(())
    }
}
