//! `cargo xtask demo`: two gateways on real XDP, real traffic through them, and what operators see.
//!
//! Everything runs in network namespaces that no other process knows of; they and every process in
//! them end with this one, however it ends.

use std::time::{Duration, Instant};

use gridway_e2e::layer4::{near, published, target};
use gridway_e2e::{LIMIT, Layout, configs};
use gridway_lab::gateway::{Gateway, check_books, check_mirror, find_binary, start_pair, vnets};
use gridway_lab::tools::{Curl, MirrorServer};
use gridway_lab::{
    Capture, EchoServer, Iperf3, Iperf3Server, Lab, Marker, Ping, Result, Side, WAN_INTERFACE,
};

const PICTURE: &str = "
    h1 10.1.0.2                                                      h2 10.2.0.2
     |  data link                                                 data link  |
   [XDP > AF_XDP]  gw-a  ==== mutual TLS over wan0 ====  gw-b  [AF_XDP < XDP]

   h1 knows h2 as 172.16.2.2, h2 knows h1 as 172.16.1.2; between the gateways
   they are 10.200.1.2 and 10.200.2.2 of the virtual network corp.
";

/// Port of the web server.
const WEB: u16 = 8080;

fn main() -> Result<()> {
    println!("{PICTURE}");
    let started = Instant::now();
    step("Four network namespaces, wire-like links, a CA and two certificates");
    let lab = Lab::new()?;
    let with_web = |side| vnets::corp(side) + &published("tcp", WEB)(side);
    let [mut a, mut b] = start_pair(&lab, configs(Layout::Combined, with_web))?;
    println!("   both nodes are up after {:.1} s", started.elapsed().as_secs_f64());
    show(&a, &["status"])?;
    show(&a, &["peers"])?;

    step("Ping, both ways, through NAT, ACL and route on both nodes");
    for (from, name, to) in
        [(lab.h1(), "h1", vnets::outside_host(Side::B, 0)), (lab.h2(), "h2", vnets::outside_host(Side::A, 0))]
    {
        let report = Ping::new(to).count(20).interval(Duration::from_millis(20)).run(from)?;
        let mean = report.mean().unwrap_or_default().as_secs_f64() * 1e3;
        println!("   {name} > {to}: {} of {} answered, mean {mean:.2} ms", report.received, report.sent);
    }

    step("A marker in the payload, and a capture of the WAN");
    let mut capture = Capture::start(lab.gwa(), WAN_INTERFACE, "")?;
    let (marker, address) = (Marker::random(), Side::B.host(0));
    let server = EchoServer::tcp(lab.h2(), (address, 7000).into())?;
    let payload = marker.payload(200_000);
    let to = (vnets::outside_host(Side::B, 0), server.address().port()).into();
    let echoed = gridway_lab::tools::echo_tcp(lab.h1(), to, &payload, LIMIT)?;
    let report = capture.stop()?;
    println!("   echoed {} bytes unchanged: {}", echoed.len(), echoed == payload);
    println!(
        "   the WAN carried {} bytes; the marker among them: {}",
        capture.size()?,
        capture.contains(marker.bytes())?
    );
    println!("   ({report:?})");

    step("iperf3, one TCP stream, 5 s");
    let _server = Iperf3Server::start(lab.h2(), 5201)?;
    let tcp = Iperf3::tcp(vnets::outside_host(Side::B, 0)).duration(Duration::from_secs(5)).run(lab.h1())?;
    println!("   {:.0} Mbit/s", tcp.mbps());

    step("A single service: h1 asks gw-a itself, and a web server beside gw-b answers");
    let _web = MirrorServer::start(lab.h2(), target(WEB))?;
    println!("   $ curl http://{}/", near(WEB));
    println!("     the server was asked by {}: gw-b", Curl::new(near(WEB)).run(lab.h1())?);

    step("What an operator sees on gw-a");
    for command in ["routes", "nat", "acl", "flows", "connectors", "counters"] {
        show(&a, &[command])?;
    }

    step("The books");
    for node in [&a, &b] {
        check_books(node, LIMIT)?;
    }
    check_mirror(&a, &b, LIMIT)?;
    println!("   every packet has one fate at both nodes, and what one sent the other received");

    a.stop()?;
    b.stop()?;
    println!(
        "\nDone in {:.0} s; both nodes ended in order, nothing is left behind.",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn step(text: &str) {
    println!("\n== {text}");
}

/// Runs the operator's command against a node and shows what it prints.
fn show(node: &Gateway, words: &[&str]) -> Result<()> {
    println!("   $ gridway {}", words.join(" "));
    let command = node.namespace().command(find_binary("gridway")?).args(words);
    let output = command.arg("--socket").arg(node.socket()).run()?;
    output.stdout.lines().for_each(|line| println!("     {line}"));
    Ok(())
}
