//! Whatever the text, the answer is a configuration that can be shown and read again, or errors
//! with places in the file.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;

use gridway_config::{Config, Detail};
use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../examples/gateway.toml");

fn parse(text: &str) -> Result<Config, gridway_config::ConfigErrors> {
    Config::parse(text, Path::new("node.toml"))
}

fn judge(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(config) => {
            for detail in [Detail::All, Detail::Changed] {
                let shown = config.to_toml(detail);
                let again =
                    parse(&shown).map_err(|errors| TestCaseError::fail(format!("{errors}\n{shown}")))?;
                prop_assert_eq!(&again, &config);
            }
        }
        Err(errors) => {
            prop_assert!(!errors.errors().is_empty());
            let lines = text.matches('\n').count() + 1;
            for error in errors.errors() {
                prop_assert!(error.line.is_some_and(|line| (1..=lines).contains(&line)), "{}", error);
            }
        }
    }
    Ok(())
}

fn prefix() -> impl Strategy<Value = Ipv4Net> {
    (any::<u32>(), 8u8..=30).prop_map(|(bits, length)| Ipv4Net::new(bits.into(), length).unwrap().trunc())
}

/// Routes of one identity vnet, and rules with every kind of address.
fn generated() -> impl Strategy<Value = String> {
    let route = (prefix(), 1u8..=200);
    let rule = (any::<u32>(), prefix(), any::<bool>(), any::<u8>(), any::<u16>(), any::<u16>());
    let lists = (proptest::collection::vec(route, 0..6), proptest::collection::vec(rule, 0..6));
    (prefix(), lists).prop_map(|(cidr, (routes, rules))| {
        let mut text = EXAMPLE.split("[[vnet]]").next().unwrap().to_owned();
        text += &format!("[[vnet]]\nname = \"generated\"\ncidr = \"{cidr}\"\nnat = false\n");
        for (to, metric) in routes.iter().collect::<BTreeSet<_>>() {
            text += &format!("[[vnet.route]]\nto = \"{to}\"\nvia = \"gw-b\"\nmetric = {metric}\n");
        }
        let mut lines = BTreeSet::new();
        for (line, prefix, negated, protocol, a, b) in rules {
            if lines.insert(line) {
                let not = if negated { "!" } else { "" };
                text +=
                    &format!("[[vnet.acl]]\nline = {line}\naction = \"drop\"\nsource = \"{not}{prefix}\"\n");
                text += &match protocol {
                    0..128 => format!("protocol = \"udp\"\nports = \"{}-{}\"\n", a.min(b), a.max(b)),
                    number => format!("protocol = \"{number}\"\n"),
                };
            }
        }
        text
    })
}

/// One remote network of a generated vnet: how it is translated, and how its route is watched.
#[derive(Debug)]
struct Remote {
    by_object: bool,
    local_length: u8,
    proxy_arp: bool,
    monitor: Option<Watch>,
}

/// Port (TCP) or none (ICMP), host of the network, interval, count, maximum latency (milliseconds).
type Watch = (Option<u16>, u8, u64, u32, u64);

fn remote() -> impl Strategy<Value = Remote> {
    let port = proptest::option::of(1..=u16::MAX);
    let interval = prop_oneof![Just(1000), 100..100_000u64];
    let count = prop_oneof![Just(3), 1..=1000u32];
    let latency = prop_oneof![Just(1000), 1..=60_000u64];
    let monitor = proptest::option::of((port, any::<u8>(), interval, count, latency));
    (any::<bool>(), 24u8..=32, any::<bool>(), monitor).prop_map(
        |(by_object, local_length, proxy_arp, monitor)| Remote {
            by_object,
            local_length,
            proxy_arp,
            monitor,
        },
    )
}

impl Remote {
    /// The tables of the remote network `index`, and its object.
    fn write(&self, index: usize, text: &mut String, objects: &mut String) {
        let Self { by_object, local_length, proxy_arp, monitor } = self;
        let network = format!("10.2.{index}.0/24");
        let virtual_side = if *by_object { format!("o{index}") } else { network.clone() };
        *text += &format!(
            "[[vnet.outside_nat]]\nvirtual = \"{virtual_side}\"\nlocal = \"172.16.{index}.0/{local_length}\"\nproxy_arp = {proxy_arp}\n"
        );
        *text += &format!("[[vnet.route]]\nto = \"{network}\"\nvia = \"gw-b\"\n");
        if let Some((port, host, interval, count, latency)) = monitor {
            let protocol = port.map_or("\"icmp\"".to_owned(), |port| format!("\"tcp\", port = {port}"));
            *text += &format!(
                "monitor = {{ protocol = {protocol}, target = \"10.2.{index}.{host}\", interval = \"{interval}ms\", count = {count}, max_latency = \"{latency}ms\" }}\n"
            );
        }
        if *by_object {
            *objects += &format!(
                "[[object]]\nname = \"o{index}\"\nprefixes = [\"10.2.{index}.128/25\", \"{network}\"]\n"
            );
        }
    }
}

/// A translated vnet that is good: networks, addresses and limits as they come.
fn translated() -> impl Strategy<Value = (String, usize)> {
    let remotes = proptest::collection::vec(remote(), 0..6);
    let limits = (0..=1_000_000u32, 0..=1_000_000u32, 1..=1_048_576u32);
    (remotes, 0..4usize, 0..3usize, any::<bool>(), limits).prop_map(
        |(remotes, locals, addresses, relay, (egress, ingress, fragments))| {
            let mut text = EXAMPLE.split("[[vnet]]").next().unwrap().to_owned();
            text = text.replace("egress_mbps  = 500", &format!("egress_mbps = {egress}"));
            text = text.replace("ingress_mbps = 0", &format!("ingress_mbps = {ingress}"));
            text = text.replace("fragments       = 4096", &format!("fragments = {fragments}"));
            text += "[[vnet]]\nname = \"generated\"\ncidr = [\"10.0.0.0/8\", \"fd00::/16\"]\n";
            text += &format!("relay = {relay}\n");
            let monitored = remotes.iter().any(|remote| remote.monitor.is_some());
            text += match (addresses, monitored) {
                (0, false) => "",
                (0 | 1, _) => "address = \"10.9.0.1\"\n",
                (_, _) => "address = [\"fd00:9::1\", \"10.9.0.1\"]\n",
            };
            for index in 0..locals {
                text += &format!(
                    "[[vnet.inside_nat]]\nlocal = \"192.168.{index}.0/24\"\nvirtual = \"10.1.{index}.0/24\"\n"
                );
            }
            let mut objects = String::new();
            for (index, remote) in remotes.iter().enumerate() {
                remote.write(index, &mut text, &mut objects);
            }
            let many = remotes.iter().filter(|remote| remote.by_object || remote.local_length > 24).count();
            (text + &objects, many)
        },
    )
}

/// Services, ranges, connectors and port forwards that are good, and how many listen.
fn layer4() -> impl Strategy<Value = (String, usize)> {
    let protocol = || prop::sample::select(&["tcp", "udp", "ftp", "tftp"][..]);
    let peers =
        || prop::sample::select(&["", "peers = [\"gw-b\"]\n", "peers = [\"gw-b\", \"edge-c\"]\n"][..]);
    let time = || proptest::option::of(1..=120_000u64);
    let host = || prop::sample::select(&["10.2.0.2", "[fd00::2]", "db.example"][..]);
    let service = (protocol(), host(), 1..=u16::MAX, time(), peers(), any::<bool>());
    let range = (prefix(), any::<[u16; 2]>(), peers());
    let name = prop_oneof![Just(None), (host(), 1..=u16::MAX).prop_map(Some)];
    let listener = (protocol(), any::<bool>(), name, any::<bool>(), 0..=1_000_000u32, time());
    let lists = (
        proptest::collection::vec(service, 0..4),
        proptest::collection::vec(range, 0..4),
        proptest::collection::vec(listener, 0..6),
    );
    lists.prop_map(|(services, ranges, listeners)| {
        let head = EXAMPLE.split("[[vnet]]").next().unwrap();
        let mut text = format!("{head}[[vnet]]\nname = \"generated\"\ncidr = \"10.0.0.0/8\"\n");
        let mut connectors = String::new();
        let count = listeners.len();
        for (index, (protocol, forward, service, allow, mbps, idle)) in listeners.into_iter().enumerate() {
            let (table, to) = if forward { ("vnet.port_forward", &mut text) } else { ("connector", &mut connectors) };
            let service = service.map_or("db".to_owned(), |(host, port)| format!("{host}:{port}"));
            *to += &format!(
                "[[{table}]]\nname = \"l{index}\"\nprotocol = \"{protocol}\"\nlisten = \"10.1.0.{index}:21\"\npeer = \"gw-b\"\nservice = \"{service}\"\nmax_mbps = {mbps}\n"
            );
            if allow {
                *to += "allow = [\"10.0.0.0/8\", \"0.0.0.0/0\"]\n";
            }
            if let Some(idle) = idle.filter(|_| ["udp", "tftp"].contains(&protocol)) {
                *to += &format!("idle = \"{idle}ms\"\n");
            }
        }
        text += &connectors;
        for (index, (protocol, host, port, timeout, peers, proxy)) in services.into_iter().enumerate() {
            let proxy = proxy && protocol == "tcp";
            text += &format!(
                "[[service]]\nname = \"s{index}\"\nprotocol = \"{protocol}\"\ntarget = \"{host}:{port}\"\nproxy_protocol = {proxy}\n{peers}"
            );
            if let Some(timeout) = timeout {
                text += &format!("connect_timeout = \"{timeout}ms\"\n");
            }
        }
        for (prefix, [a, b], peers) in ranges {
            let (first, last) = (a.min(b), a.max(b));
            text += &format!(
                "[[service_range]]\nprefixes = [\"{prefix}\"]\nports = \"{first}-{last}\"\n{peers}"
            );
        }
        (text, count)
    })
}

proptest! {
    #[test]
    fn generated_services_and_listeners_are_shown_as_they_were_read((text, count) in layer4()) {
        let config = parse(&text).map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?;
        prop_assert_eq!(config.listeners().count(), count);
        prop_assert_eq!(config.services.len(), text.matches("[[service]]").count());
        judge(&text)?;
    }

    #[test]
    fn a_generated_translation_is_shown_as_it_was_read((text, many) in translated()) {
        let config = parse(&text).map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?;
        let vnet = &config.vnets[0];
        prop_assert_eq!(vnet.outside_nat.len(), text.matches("[[vnet.outside_nat]]").count());
        prop_assert_eq!(vnet.outside_nat.iter().filter(|entry| entry.is_many_to_one()).count(), many);
        let monitors = vnet.routes.iter().filter(|route| route.monitor.is_some()).count();
        prop_assert_eq!(monitors, text.matches("monitor =").count());
        judge(&text)?;
    }

    #[test]
    fn a_generated_policy_is_shown_as_it_was_read(text in generated()) {
        // The same prefix may come with two metrics, which is a duplicate route.
        if let Ok(config) = parse(&text) {
            let vnet = &config.vnets[0];
            prop_assert_eq!(vnet.routes.len(), text.matches("[[vnet.route]]").count());
            prop_assert_eq!(vnet.acl.len(), text.matches("[[vnet.acl]]").count());
            prop_assert!(vnet.acl.is_sorted_by_key(|rule| rule.line));
        } else {
            prop_assert!(text.contains("[[vnet.route]]"));
        }
        judge(&text)?;
    }

    #[test]
    fn a_damaged_file_is_judged_without_panic(at in any::<prop::sample::Index>(), with in "\\PC{0,3}", cut in 0usize..30) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, with.chars());
        judge(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn a_file_without_one_of_its_lines_is_judged(gone in any::<prop::sample::Index>()) {
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        let gone = gone.index(lines.len());
        let kept = lines.iter().enumerate().filter(|(index, _)| *index != gone);
        judge(&kept.map(|(_, line)| format!("{line}\n")).collect::<String>())?;
    }

    #[test]
    fn host_bits_are_found_and_cleared(bits in any::<u32>(), length in 0u8..=32) {
        let prefix = Ipv4Net::new(bits.into(), length).unwrap();
        let text = EXAMPLE.replace("10.66.0.0/16", &prefix.to_string());
        match parse(&text) {
            Ok(config) => prop_assert_eq!(config.data.unwrap().deny, [IpNet::from(prefix)]),
            Err(errors) => {
                let right = format!("expected {}", prefix.trunc());
                prop_assert!(errors.to_string().contains(&right), "{}", errors);
            }
        }
    }
}
