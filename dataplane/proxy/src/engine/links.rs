//! The connections for streams that sessions may use.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use gridway_tunnel::streams::{CreditPool, Source, Streams};
use gridway_tunnel::{ConnectionId, RecordBuffer};
use gridway_wire::time::Nanos;

struct Link {
    peer: Arc<str>,
    streams: Streams,
    marked: bool,
    /// Its place in the order in which connections were last chosen.
    chosen: u64,
}

/// Turns of late below which a connection counts as silent.
const SILENT: u64 = 16;

/// Connections, by id and by peer.
pub(super) struct Links {
    links: HashMap<ConnectionId, Link>,
    marked: Vec<ConnectionId>,
    choices: u64,
    credit: Arc<CreditPool>,
}

impl Links {
    pub(super) fn new(credit: Arc<CreditPool>) -> Self {
        Self { links: HashMap::new(), marked: Vec::new(), choices: 0, credit }
    }

    pub(super) fn attach(&mut self, id: ConnectionId, peer: &str, dialled: bool) {
        let streams = Streams::new(dialled, self.credit.clone());
        self.links.insert(id, Link { peer: peer.into(), streams, marked: false, chosen: 0 });
    }

    pub(super) fn detach(&mut self, id: ConnectionId) {
        self.links.remove(&id);
    }

    /// Writes what streams of a connection have to send into `record`.
    pub(super) fn fill(
        &mut self,
        id: ConnectionId,
        record: &mut RecordBuffer,
        source: &mut impl Source,
        now: Nanos,
    ) {
        if let Some(link) = self.links.get_mut(&id) {
            link.streams.fill(record, source, now);
        }
    }

    /// Does something with the streams of a connection, if it is there; they may have something to write then.
    pub(super) fn with<T>(&mut self, id: ConnectionId, act: impl FnOnce(&mut Streams) -> T) -> Option<T> {
        let link = self.links.get_mut(&id)?;
        let outcome = act(&mut link.streams);
        if !link.marked && link.streams.is_pending() {
            link.marked = true;
            self.marked.push(id);
        }
        Some(outcome)
    }

    pub(super) fn peer(&self, id: ConnectionId) -> Option<Arc<str>> {
        self.links.get(&id).map(|link| link.peer.clone())
    }

    /// The connection with `peer` that has the fewest streams with much to carry, then the fewest streams, then the one
    /// whose streams have sent least of late: whoever speaks now and then shall not wait behind a newcomer's bulk. Of equals the one
    /// chosen last: what is opened together belongs together.
    pub(super) fn best(&mut self, peer: &str, now: Nanos) -> Option<ConnectionId> {
        let usable = |link: &Link| &*link.peer == peer && link.streams.can_open();
        let of_peer = self.links.iter_mut().filter(|(_, link)| usable(link));
        let (id, link) = of_peer.min_by_key(|(id, link)| {
            let streams = &link.streams;
            let silence = streams.turns(now) / SILENT;
            (streams.busy(), streams.len(), silence, Reverse(link.chosen), id.0)
        })?;
        self.choices += 1;
        link.chosen = self.choices;
        Some(*id)
    }

    /// Connections on which no stream is left and none can be opened.
    pub(super) fn worn(&self) -> Vec<ConnectionId> {
        let worn = self.links.iter().filter(|(_, link)| link.streams.is_worn() && link.streams.is_empty());
        worn.map(|(id, _)| *id).collect()
    }

    pub(super) fn is_pending(&self, id: ConnectionId) -> bool {
        self.links.get(&id).is_some_and(|link| link.streams.is_pending())
    }

    /// The connections that were marked since the last call.
    pub(super) fn take_marked(&mut self) -> Vec<ConnectionId> {
        let marked = std::mem::take(&mut self.marked);
        for id in &marked {
            if let Some(link) = self.links.get_mut(id) {
                link.marked = false;
            }
        }
        marked
    }
}
