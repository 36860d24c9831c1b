//! What the role of a node asks of the other tables.

use std::net::SocketAddr;

use crate::document::Section;
use crate::error::Problem;
use crate::leaf::{Leaf, ListenAddress, quote};
use crate::model::{Data, Management, Role};
use crate::read::peer::Peers;

pub(crate) fn check(
    root: &Section<'_>,
    role: Role,
    data: Option<&Option<Data>>,
    management: Option<&Management>,
    listen: Option<SocketAddr>,
    peers: &Peers<'_>,
) {
    match role {
        Role::Gateway => {
            if data.is_none() {
                let expected = "a table [data], which every gateway has".to_owned();
                root.refuse_key("data", Problem::Missing { expected });
            }
            if let (Some(Some(data)), Some(management)) = (data, management)
                && data.interface == management.interface
            {
                let found = quote(management.interface.as_str());
                let expected = "an interface other than data.interface".to_owned();
                refuse_in(root, "management", "interface", Problem::Invalid { found, expected });
            }
        }
        Role::Edge => {
            if data.is_none() {
                for vnet in root.tables("vnet") {
                    let expected = "none, because vnets need [data]".to_owned();
                    vnet.refuse(Problem::Invalid { found: "a vnet".to_owned(), expected });
                }
            }
            if let Some(listen) = listen {
                let found = quote(&listen.to_string());
                let expected = "no listen address: an edge only dials".to_owned();
                refuse_in(root, "tunnel", "listen", Problem::Invalid { found, expected });
            }
        }
    }
    if role == Role::Edge || !root.has("tunnel", "listen") {
        check_dialling(root, role, peers);
    }
}

/// A node that does not listen has to dial.
fn check_dialling(root: &Section<'_>, role: Role, peers: &Peers<'_>) {
    let dials = |section: &Section<'_>| section.value("dial").is_some_and(|value| value.len() > 0);
    if role == Role::Gateway && !peers.entries.iter().any(|(section, _)| dials(section)) {
        let expected = format!("{}, or peers to dial", ListenAddress::EXPECTED);
        refuse_in(root, "tunnel", "listen", Problem::Missing { expected });
        return;
    }
    for (section, _) in peers.entries.iter().filter(|(section, _)| !dials(section)) {
        let expected = "an address to dial, because this node does not listen".to_owned();
        section.refuse_key("dial", Problem::Missing { expected });
    }
}

/// Refuses `key` of the table `table`, which may be absent.
fn refuse_in(root: &Section<'_>, table: &'static str, key: &str, problem: Problem) {
    match root.value(table).and_then(|value| value.peek_table()) {
        Some(section) => section.refuse_key(key, problem),
        None => root.refuse_key(&format!("{table}.{key}"), problem),
    }
}
