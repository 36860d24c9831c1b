//! An edge with one NIC and no data network: it dials, and serves Layer 4 on its WAN.
//!
//! ```text
//! h1 ---- gwa ====+==== edge
//!                 |
//!                 +---- beside (192.0.2.3)
//! ```
//!
//! The edge is in the place of gateway B. `beside` is a host of the network that the edge is in; it stands where
//! the laboratory has a third gateway.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::SocketAddr;

use gridway_e2e::layer4::{End, connector, dial_to_the_end, near, service};
use gridway_e2e::{LIMIT, Layout};
use gridway_lab::gateway::Pki;
use gridway_lab::tools::{Dig, Dnsmasq, Nginx, Transfer, Vsftpd, echo_tcp, random_file};
use gridway_lab::{EchoServer, Gateway, Hub, Lab, LabError, Marker, Namespace, NodeConfig, Side};

/// The edge's only address, and the host beside it.
fn on_edge(port: u16) -> SocketAddr {
    (Side::B.wan(), port).into()
}

fn beside(port: u16) -> SocketAddr {
    (Hub::WAN, port).into()
}

/// A host behind the gateway.
fn behind_gateway(port: u16) -> SocketAddr {
    (Side::A.host(0), port).into()
}

struct Site {
    gateway: Gateway,
    edge: Gateway,
    lab: Lab,
}

impl Site {
    fn start(of_gateway: &str, of_edge: &str) -> Self {
        let lab = Lab::builder().hub().build().unwrap();
        let pki = Pki::of(&lab).unwrap();
        let waits = NodeConfig::gateway(Side::A).peer(Side::B.node(), &[]).with(of_gateway);
        let waits = Layout::Combined.apply(waits, Side::A);
        let dials = NodeConfig::edge_without_data(Side::B)
            .peer(Side::A.node(), &[&Side::A.tunnel().to_string()])
            .with(of_edge);
        let gateway = Gateway::launch(&lab, Side::A, &pki, waits).unwrap();
        let edge = Gateway::launch(&lab, Side::B, &pki, dials).unwrap();
        gateway.wait_streams_up(Side::B.node(), LIMIT).unwrap();
        edge.wait_streams_up(Side::A.node(), LIMIT).unwrap();
        Self { gateway, edge, lab }
    }

    fn beside(&self) -> &Namespace {
        self.lab.hub().gateway()
    }

    fn expect<T>(&self, what: &str, result: Result<T, LabError>) -> T {
        result.unwrap_or_else(|error| panic!("{what}: {error}\n{}", self.evidence()))
    }

    fn evidence(&self) -> String {
        gridway_e2e::evidence(&self.gateway) + &gridway_e2e::evidence(&self.edge)
    }

    fn finish(mut self) {
        self.gateway.stop().unwrap();
        self.edge.stop().unwrap();
    }
}

#[test]
fn services_of_an_edge_are_reached_from_behind_a_gateway() {
    let to_edge = |name: &str, protocol, port| connector(name, protocol, near(port), "gw-b", name);
    let site = Site::start(
        &(to_edge("web", "tcp", 80) + &to_edge("dns", "udp", 53) + &to_edge("files", "ftp", 21)),
        &(service("web", "tcp", beside(80))
            + &service("dns", "udp", beside(53))
            + &service("files", "ftp", beside(21))),
    );
    assert!(site.edge.status().unwrap().data.is_none());
    let nginx = Nginx::start(site.beside(), beside(80)).unwrap();
    let _dns = Dnsmasq::start(site.beside(), beside(53), &["--host-record=db.example,10.9.9.9"]).unwrap();
    let ftp = Vsftpd::start(site.beside(), beside(21)).unwrap();

    // The target sees the edge.
    let seen = site.expect("web", Nginx::client_seen(site.lab.h1(), near(80)));
    assert_eq!(seen.ip(), Side::B.wan());
    let file = site.lab.path().join("file");
    random_file(&file, 8 << 20).unwrap();
    let upload = Transfer::new(&format!("http://{}/sent", near(80))).upload(site.lab.h1(), &file);
    site.expect("upload", upload);
    gridway_e2e::layer4::assert_same(&nginx.root().join("sent"), &file);
    let address = Dig::udp(near(53)).ask(site.lab.h1(), "db.example", "A");
    assert_eq!(site.expect("dns", address), ["10.9.9.9"]);
    for transfer in
        [Transfer::new("ftp://10.1.0.1/pub/passive"), Transfer::new("ftp://10.1.0.1/pub/active").active()]
    {
        site.expect("ftp", transfer.upload(site.lab.h1(), &file));
    }
    for name in ["passive", "active"] {
        gridway_e2e::layer4::assert_same(&ftp.root().join(name), &file);
    }
    site.finish();
}

#[test]
fn connectors_of_an_edge_lead_to_services_behind_a_gateway() {
    let site = Site::start(
        &service("web", "tcp", behind_gateway(80)),
        &connector("web", "tcp", on_edge(8080), "gw-a", "web"),
    );
    let nginx = Nginx::start(site.lab.h1(), behind_gateway(80)).unwrap();
    let seen = site.expect("web", Nginx::client_seen(site.beside(), on_edge(8080)));
    assert_eq!(seen.ip(), Side::A.data());
    let path = |name: &str| site.lab.path().join(name);
    random_file(&path("file"), 8 << 20).unwrap();
    let transfer = Transfer::new(&format!("http://{}/sent", on_edge(8080)));
    site.expect("upload", transfer.upload(site.beside(), &path("file")));
    gridway_e2e::layer4::assert_same(&nginx.root().join("sent"), &path("file"));
    site.expect("download", transfer.download(site.beside(), &path("copy")));
    gridway_e2e::layer4::assert_same(&path("copy"), &path("file"));
    site.finish();
}

/// What listens on the edge itself, on loopback, is not for peers: sockets to targets leave by the management NIC.
#[test]
fn an_edges_loopback_is_out_of_reach() {
    let site = Site::start(
        &connector("own", "tcp", near(7000), "gw-b", "own"),
        &(service("own", "tcp", "127.0.0.1:7000") + "connect_timeout = \"1s\"\n"),
    );
    let server = EchoServer::tcp(site.lab.gwb(), ([127, 0, 0, 1], 7000).into()).unwrap();
    assert_eq!(dial_to_the_end(site.lab.h1(), near(7000)), End::Reset, "{}", site.evidence());
    assert!(server.clients().is_empty());
    site.finish();
}

#[test]
fn an_edge_dials_again_when_its_gateway_was_away() {
    let mut site = Site::start(
        &connector("echo", "tcp", near(7000), "gw-b", "echo"),
        &service("echo", "tcp", beside(7000)),
    );
    let _server = EchoServer::tcp(site.beside(), beside(7000)).unwrap();
    let payload = Marker::random().payload(1 << 20);
    for _ in 0..2 {
        let answer = site.expect("echo", echo_tcp(site.lab.h1(), near(7000), &payload, LIMIT));
        assert!(answer == payload, "{} bytes came back", answer.len());
        site.gateway.restart().unwrap();
        site.gateway.wait_streams_up("gw-b", LIMIT).unwrap();
        site.edge.wait_streams_up("gw-a", LIMIT).unwrap();
    }
    site.finish();
}
