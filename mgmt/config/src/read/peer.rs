//! `[[peer]]`.

use std::collections::BTreeSet;

use crate::document::{Section, Value};
use crate::error::Problem;
use crate::leaf::{DialTarget, quote};
use crate::model::{Node, Peer};
use crate::name::NodeName;
use crate::prefixes::names;
use crate::read::unique::Unique;

/// The peers of a file, each with its table.
pub(crate) struct Peers<'d> {
    /// Peers without errors of their own.
    pub(crate) entries: Vec<(Section<'d>, Peer)>,
    /// Names of all, so that what refers to a peer with another error is not reported too.
    pub(crate) names: PeerNames,
}

impl Peers<'_> {
    pub(crate) fn into_peers(self) -> Vec<Peer> {
        self.entries.into_iter().map(|(_, peer)| peer).collect()
    }
}

/// The names that `via` and `peer` may hold.
pub(crate) struct PeerNames(BTreeSet<NodeName>);

impl PeerNames {
    /// Every configured peer, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &NodeName> {
        self.0.iter()
    }

    /// Refuses a name that is no configured peer.
    pub(crate) fn check(&self, section: &Section<'_>, key: &'static str, name: &NodeName) {
        if let Some(problem) = self.problem(name) {
            section.refuse_key(key, problem);
        }
    }

    /// What is wrong with a name, if anything.
    pub(crate) fn problem(&self, name: &NodeName) -> Option<Problem> {
        let unknown = !self.0.contains(name);
        unknown.then(|| Problem::UnknownName {
            found: name.to_string(),
            kind: "a configured peer",
            known: names(self.0.iter()),
        })
    }
}

pub(crate) fn peers<'d>(root: &Section<'d>, node: Option<&Node>) -> Peers<'d> {
    let mut unique = Unique::new();
    let mut peers = Peers { entries: Vec::new(), names: PeerNames(BTreeSet::new()) };
    for section in root.tables("peer") {
        let name: Option<NodeName> = section.required("name");
        let dial = section.value("dial").as_ref().map(Value::list::<DialTarget>).unwrap_or_default();
        let connections = section.integer("connections", 1, Peer::MAX_CONNECTIONS.into());
        section.finish();
        let Some(name) = name else { continue };
        if node.is_some_and(|node| node.name == name) {
            let expected = "the name of another node than node.name".to_owned();
            section.refuse_key("name", Problem::Invalid { found: quote(name.as_str()), expected });
        }
        unique.check(&section, "name", name.clone());
        peers.names.0.insert(name.clone());
        let dial = dial.into_iter().map(|(_, DialTarget(target))| target).collect();
        let connections = connections.and_then(|count| u8::try_from(count).ok()).unwrap_or(1);
        peers.entries.push((section, Peer { name, dial, connections }));
    }
    peers
}
