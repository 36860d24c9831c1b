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

proptest! {
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
