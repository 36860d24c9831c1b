//! `[[vnet.acl]]`.

use ipnet::IpNet;
use toml::de::DeValue;

use crate::document::{Place, Section};
use crate::error::Problem;
use crate::leaf::{Leaf, Ports, Protocol, quote};
use crate::model::{AclAction, AclRule, AddressMatch, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::prefixes::same_family;
use crate::read::object::{Objects, PrefixOrObject};
use crate::read::unique::Unique;

/// A rule, and where it and its sides were written.
pub(crate) struct WrittenRule {
    pub(crate) rule: AclRule,
    pub(crate) place: Place,
    pub(crate) source: Place,
    pub(crate) destination: Place,
}

/// The rules in the order of their lines.
pub(crate) fn rules(vnet: &Section<'_>, objects: &Objects) -> Vec<WrittenRule> {
    let mut unique = Unique::new();
    let mut rules = Vec::new();
    for section in vnet.tables("acl") {
        let line = section.required::<Line>("line").map(|Line(line)| line);
        let action = section.required("action");
        let protocol = section.optional("protocol").and_then(|Protocol(protocol)| protocol);
        let source = address(&section, "source", objects);
        let destination = address(&section, "destination", objects);
        let ports = section.optional("ports").map(|Ports(ports)| ports);
        section.finish();
        if let Some(line) = line {
            unique.check(&section, "line", line);
        }
        if let (Some(source), Some(destination)) = (&source, &destination) {
            check_families(&section, source, destination);
        }
        // A protocol that could not be read was reported; ports are judged by one that could.
        let with_ports = matches!(protocol, Some(PROTOCOL_TCP | PROTOCOL_UDP));
        if ports.is_some() && !with_ports && section.readable::<Protocol>("protocol") {
            let found = "ports".to_owned();
            let expected = "ports only where protocol is \"tcp\" or \"udp\"".to_owned();
            section.refuse_key("ports", Problem::Invalid { found, expected });
        }
        if let (Some(line), Some(action), Some(source), Some(destination)) =
            (line, action, source, destination)
        {
            let rule = AclRule { line, action, protocol, source, destination, ports };
            let (source, destination) = (section.place_of("source"), section.place_of("destination"));
            rules.push(WrittenRule { rule, place: section.place(), source, destination });
        }
    }
    rules.sort_by_key(|written| written.rule.line);
    rules
}

/// `None`: wrong, and reported. An absent field matches every address.
fn address(section: &Section<'_>, key: &'static str, objects: &Objects) -> Option<AddressMatch> {
    let Some(value) = section.value(key) else {
        return Some(AddressMatch::any());
    };
    let Address { negated, what } = value.read()?;
    match what {
        None => Some(AddressMatch::any()),
        Some(PrefixOrObject::Prefix(prefix)) => {
            Some(AddressMatch { negated, ..AddressMatch::prefix(prefix) })
        }
        Some(PrefixOrObject::Object(name)) => match objects.resolve(&name) {
            Ok(prefixes) => Some(AddressMatch { negated, prefixes, object: Some(name) }),
            Err(problem) => {
                value.refuse(problem);
                None
            }
        },
    }
}

/// A rule whose source is IPv4 and whose destination is IPv6 never matches.
fn check_families(section: &Section<'_>, source: &AddressMatch, destination: &AddressMatch) {
    let decides = |side: &AddressMatch| !side.is_any() && !side.negated;
    if !decides(source) || !decides(destination) {
        return;
    }
    let has =
        |side: &AddressMatch, family: IpNet| side.prefixes.iter().any(|prefix| same_family(*prefix, family));
    if !source.prefixes.iter().any(|prefix| has(destination, *prefix)) {
        let (found, other) = (quote(&destination.to_string()), quote(&source.to_string()));
        section.refuse_key("destination", Problem::MixedFamilies { found, other });
    }
}

struct Line(u32);

impl Leaf for Line {
    const EXPECTED: &'static str = "a line number from 0 to 4294967295";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        let number = crate::leaf::read_integer(value).and_then(|number| u32::try_from(number).ok());
        number.map(Self).ok_or_else(|| Self::invalid(value))
    }
}

impl Leaf for AclAction {
    const EXPECTED: &'static str = "\"allow\", \"reject\" or \"drop\"";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        match value.as_str() {
            Some("allow") => Ok(Self::Allow),
            Some("reject") => Ok(Self::Reject),
            Some("drop") => Ok(Self::Drop),
            _ => Err(Self::invalid(value)),
        }
    }
}

/// `any` (here `what` is `None`), a prefix or an object, perhaps negated.
struct Address {
    negated: bool,
    what: Option<PrefixOrObject>,
}

impl Leaf for Address {
    const EXPECTED: &'static str = "\"any\", a prefix or the name of an object, a leading ! negates";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        let text = value.as_str().ok_or_else(|| Self::invalid(value))?;
        let (negated, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        match text {
            "any" if negated => Err(Self::invalid(value)),
            "any" => Ok(Self { negated, what: None }),
            text => Ok(Self { negated, what: Some(PrefixOrObject::from_text(text)?) }),
        }
    }
}
