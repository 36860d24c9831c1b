//! The configurations that the laboratory writes are ones that a node accepts.

use std::net::IpAddr;
use std::path::Path;

use gridway_config::{Config, ConfigErrors};
use gridway_lab::gateway::{NodeFiles, PeerConfig, vnets};
use gridway_lab::{NodeConfig, Side};

fn read(config: &NodeConfig) -> Result<Config, ConfigErrors> {
    let files = NodeFiles { pki: "/lab/pki".into(), socket: "/lab/gw/control.sock".into() };
    Config::parse(&config.to_toml(&files), Path::new("/lab/gw/node.toml"))
}

#[test]
fn the_usual_pair_with_both_vnets_is_accepted() {
    for (side, config) in Side::BOTH.into_iter().zip(NodeConfig::pair()) {
        let config = read(&config.with(&vnets::corp(side)).with(&vnets::plain(side))).unwrap();
        let corp = config.vnet("corp").unwrap();
        assert_eq!(corp.inside_nat[0].local.to_string(), side.network());
        assert!(corp.outside_nat[0].local.contains(&IpAddr::V4(vnets::outside_host(side.other(), 0))));
        assert!(corp.routes[0].to.contains(&IpAddr::V4(vnets::virtual_host(side.other(), 0))));
        assert_eq!(corp.address, vec![IpAddr::V4(vnets::virtual_gateway(side))]);
        assert_eq!(config.vnet("plain").unwrap().routes.len(), 2);
        assert!(config.peer(side.other().node()).is_some());
    }
}

#[test]
fn every_setting_of_the_builder_is_accepted() {
    let config = NodeConfig::gateway(Side::A)
        .peer_with(PeerConfig { name: "gw-b".into(), dial: vec!["192.0.2.2:8443".into()], connections: 1 })
        .connections(4)
        .cpus(&[0, 1])
        .roles("separate")
        .polling("busy")
        .attach("generic")
        .deny(&["10.1.0.66/32", "fd00:1::66/128"])
        .liveness("1s", "3s")
        .log_level("info")
        .with("[limits]\nflows = 4096");
    let read = read(&config).unwrap();
    assert_eq!(read.peer("gw-b").unwrap().connections, 4);
}

#[test]
fn an_edge_is_accepted() {
    let edge = NodeConfig::edge(Side::B).named("edge-1").peer("gw-a", &["192.0.2.1:8443"]);
    read(&edge).unwrap();
}

#[test]
fn an_edge_without_a_data_interface_is_accepted() {
    let edge = NodeConfig::edge_without_data(Side::B).peer("gw-a", &["192.0.2.1:8443"]);
    assert!(read(&edge).unwrap().data.is_none());
}
