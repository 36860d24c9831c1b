//! A gateway with many tunnels: memory of an idle one, how fast they come up, packets a second spread over peers.
//!
//! ```text
//! h1 generator -- data -- gwa == wan == peers, each with a certificate and a tunnel of its own (one thread in gwb)
//! ```

mod client;
mod clients;
mod page;
mod spread;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::gateway::{Gateway, NodeConfig, Pki, vnets};
use gridway_lab::{Lab, Side, try_wait_until};
use gridway_tunnel::Credentials;
use serde::Serialize;

use crate::load::pattern::Sizes;
use crate::machine::{Machine, raise_open_files};
use crate::memory::{resident, sockets};
use crate::packets::{headroom, one_way};
use crate::report;
use crate::rounds::Extent;
use clients::Clients;
use spread::{Spread, table_of_peers};

/// The vnet that routes to all peers.
const VNET: &str = "corp";
/// Tunnels that are there before, so that what a gateway sets up for its first ones is not counted.
const BEFORE: usize = 100;
/// Tunnels whose memory is counted: so many that what the first ones left to be used again does not matter.
const MORE: usize = 1000;
/// All of them.
const TUNNELS: usize = BEFORE + MORE;
/// Peers that packets are spread over.
const PEERS: [usize; 4] = [1, 10, 100, 1000];
/// How long all tunnels may take to come up.
const LIMIT: Duration = Duration::from_secs(60);
/// Until what the handshakes took has been given back, and some pings have been answered.
const SETTLE: Duration = Duration::from_secs(3);

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    rounds: usize,
    trial_seconds: f64,
    before: usize,
    more: usize,
    ping_interval: &'static str,
    dead_after: &'static str,
    generator_packets: f64,
    /// KiB of one more idle tunnel in the gateway's resident set, a figure a round.
    resident_kib: Vec<f64>,
    /// KiB of one more idle tunnel in the gateway's sockets, a figure a round.
    socket_kib: Vec<f64>,
    /// KiB of a tunnel of all, with what the gateway sets up for its first ones and keeps, in both.
    with_first_kib: Vec<f64>,
    /// Tunnels that came up a second, a figure a round.
    handshakes: Vec<f64>,
    spread: [Rates; PEERS.len()],
}

/// Packets of 64 bytes a second that so many peers together receive, at most 0.5 % lost; a figure a round.
#[derive(Debug, Serialize)]
struct Rates {
    peers: usize,
    rates: Vec<f64>,
    /// More may have been received in a round: the generator was the limit.
    at_least: bool,
}

/// As [`gridway_config`] has it where nothing is said.
const LIVENESS: [&str; 2] = ["1s", "3s"];

/// Measures, prints, and keeps the figures.
pub(crate) fn run(quick: bool, results: &Path) -> Result<()> {
    let extent = Extent::of(quick.then_some(1));
    raise_open_files()?;
    let generator_packets = headroom(&[one_way(Sizes::Fixed(64))], extent.trial)?[0].delivered;
    let lab = Lab::new().context("cannot build the laboratory")?;
    let pki = Pki::of(&lab)?;
    let known = Arc::new(clients::credentials(&pki, TUNNELS)?);
    let [ping_interval, dead_after] = LIVENESS;
    let mut measured = Results {
        machine: Machine::here(),
        rounds: extent.rounds,
        trial_seconds: extent.trial.as_secs_f64(),
        before: BEFORE,
        more: MORE,
        ping_interval,
        dead_after,
        generator_packets,
        resident_kib: Vec::new(),
        socket_kib: Vec::new(),
        with_first_kib: Vec::new(),
        handshakes: Vec::new(),
        spread: PEERS.map(|peers| Rates { peers, rates: Vec::new(), at_least: false }),
    };
    for round in 1..=extent.rounds {
        println!("round {round} of {}", extent.rounds);
        measured.measure(&lab, &pki, &known, &extent)?;
    }
    let name = &report::name("tunnels", quick);
    println!("\n{}", measured.tables());
    measured.draw(results, name)?;
    report::write(&results.join(format!("{name}.md")), &measured.page(name))?;
    report::write_json(&results.join(format!("{name}.json")), &measured)
}

impl Results {
    /// One round, of a gateway that has just been started.
    fn measure(
        &mut self,
        lab: &Lab,
        pki: &Pki,
        known: &Arc<Vec<Credentials>>,
        extent: &Extent,
    ) -> Result<()> {
        let mut gateway = Gateway::launch(lab, Side::A, pki, configuration())?;
        let far = clients::Gateway { name: Side::A.node(), listen: Side::A.tunnel() };
        let mut clients = Clients::start(lab.gateway(Side::B), far, Arc::clone(known));
        let none = memory(&gateway, 0)?;
        clients.reach(BEFORE, LIMIT)?;
        let before = memory(&gateway, BEFORE)?;
        let time = clients.reach(TUNNELS, LIMIT)?;
        let after = memory(&gateway, TUNNELS)?;
        let kib = |from: [u64; 2], count: usize| {
            [0, 1].map(|part| (after[part] as f64 - from[part] as f64) / count as f64 / 1024.0)
        };
        let [resident, sockets] = kib(before, MORE);
        let with_first = kib(none, TUNNELS).iter().sum();
        let handshakes = MORE as f64 / time.as_secs_f64();
        println!(
            "  an idle tunnel {:.1} KiB, {sockets:.1} of it in sockets; of all {TUNNELS} {with_first:.1}; {handshakes:.0} tunnels a second",
            resident + sockets
        );
        self.resident_kib.push(resident);
        self.socket_kib.push(sockets);
        self.with_first_kib.push(with_first);
        self.handshakes.push(handshakes);
        let mut spread = Spread::open(lab)?;
        for row in &mut self.spread {
            let (rate, at_least) =
                spread.rate(&mut clients, row.peers, self.generator_packets, extent.trial)?;
            println!("  {:>5} peers {rate:>9.0} packets/s", row.peers);
            row.rates.push(rate);
            row.at_least |= at_least;
        }
        drop(clients);
        Ok(gateway.stop()?)
    }
}

/// Gateway A with peers that dial it, and a route to each.
fn configuration() -> NodeConfig {
    let [ping_interval, dead_after] = LIVENESS;
    let gateway = NodeConfig::gateway(Side::A).liveness(ping_interval, dead_after);
    let gateway = gateway.cpus(&[0]).log_level("info");
    let gateway = (0..TUNNELS).fold(gateway, |gateway, n| gateway.peer(&clients::name(n), &[]));
    gateway.with(&(table_of_peers(TUNNELS) + vnets::ALLOW_ALL))
}

/// Bytes of the gateway and of its sockets, once it says that so many peers are up and has settled.
fn memory(gateway: &Gateway, peers: usize) -> Result<[u64; 2]> {
    let up = || Ok((gateway.status()?.peers_up as usize == peers).then_some(()));
    try_wait_until("all peers are up", LIMIT, up)?;
    std::thread::sleep(SETTLE);
    let pid = gateway.pid().context("the gateway does not run")?;
    Ok([resident(pid)?, sockets(gateway.namespace())?])
}
