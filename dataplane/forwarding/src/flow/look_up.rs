//! Finding flows: at once, or in three steps, so that look-ups of many packets wait for memory together.

use super::{Flow, FlowId, FlowTable, Key, Side, flow};

/// A look-up that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    hash: u64,
    /// Where the flow probably is.
    slot: Option<u32>,
}

impl FlowTable {
    /// The flow of a packet with this key, coming from `side`. Takes no lock.
    #[must_use]
    pub fn find(&self, side: Side, key: &Key) -> Option<Flow> {
        self.find_hashed(side, key, self.hash(key))
    }

    fn find_hashed(&self, side: Side, key: &Key, hash: u64) -> Option<Flow> {
        self.index.find(hash, |slot| self.find_in(slot, side, key))
    }

    fn find_in(&self, slot: u32, side: Side, key: &Key) -> Option<Flow> {
        let (version, identity) = self.slot(slot)?.read_if(side, key)?;
        Some(flow(FlowId { slot, version }, &identity))
    }

    /// Begins a look-up: loads what it reads first.
    #[inline]
    pub(crate) fn begin(&self, key: &Key) -> Begun {
        let hash = self.hash(key);
        self.index.prefetch(hash);
        Begun { hash, slot: None }
    }

    /// Goes on with a look-up: loads what a packet from `side` needs of the flow that is probably found.
    #[inline]
    pub(crate) fn proceed(&self, side: Side, begun: &mut Begun) {
        begun.slot = self.index.find(begun.hash, |number| {
            self.slot(number)?.prefetch(side);
            Some(number)
        });
    }

    /// Ends a look-up, of the same key, as [`Self::find`] would have.
    pub(crate) fn complete(&self, side: Side, key: &Key, begun: Begun) -> Option<Flow> {
        let at_once = begun.slot.and_then(|slot| self.find_in(slot, side, key));
        // Another flow has the same tag, or flows have come or gone since.
        at_once.or_else(|| self.find_hashed(side, key, begun.hash))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use gridway_config::FlowTimeouts;
    use gridway_wire::protocol::Protocol;
    use gridway_wire::time::Nanos;
    use gridway_wire::tuple::FiveTuple;

    use super::*;
    use crate::flow::{Created, EndReason, NewFlow, Traits};
    use crate::ids::{PeerId, VnetId};

    const NOW: Nanos = Nanos(1_000_000_000);

    fn new_flow(port: u16) -> NewFlow {
        let tuple = |network: u8| FiveTuple {
            source: Ipv4Addr::new(10, network, 0, 2).into(),
            destination: Ipv4Addr::new(172, 16, network, 2).into(),
            protocol: Protocol::UDP,
            source_port: port,
            destination_port: 53,
        };
        NewFlow {
            vnet: VnetId(3),
            peer: PeerId(5),
            back: PeerId(5),
            epoch: 1,
            started_by: Side::Local,
            traits: Traits::PLAIN,
            acl_line: 10,
            keys: [Key::local(&tuple(1)), Key::overlay(VnetId(3), &tuple(2))],
        }
    }

    fn create(table: &FlowTable, new: &NewFlow) -> Flow {
        match table.create(new, &FlowTimeouts::default(), NOW) {
            Ok(Created::New(flow) | Created::Evicting(flow) | Created::Existing(flow)) => flow,
            Err(full) => panic!("{full}"),
        }
    }

    fn begun(table: &FlowTable, key: &Key) -> Begun {
        let mut begun = table.begin(key);
        table.proceed(Side::Local, &mut begun);
        begun
    }

    #[test]
    fn a_look_up_in_steps_finds_what_one_at_once_finds() {
        let table = FlowTable::scratch(64);
        for port in 0..50 {
            let [new, unknown] = [new_flow(port), new_flow(port + 1000)];
            let flow = create(&table, &new);
            let look_up = begun(&table, &new.keys[0]);
            assert_eq!(look_up.slot, Some(flow.id.slot), "the step between knows the place");
            assert_eq!(table.complete(Side::Local, &new.keys[0], look_up), Some(flow));
            let key = &unknown.keys[0];
            assert_eq!(table.complete(Side::Local, key, begun(&table, key)), None);
        }
    }

    #[test]
    fn a_flow_that_ends_or_begins_between_the_steps_is_noticed() {
        // One place: the next flow gets that of the last one.
        let table = FlowTable::scratch(1);
        let [old, new] = [new_flow(1), new_flow(2)];
        let ended = create(&table, &old);
        let look_ups = [&old, &new].map(|flow| begun(&table, &flow.keys[0]));
        table.remove(ended.id, EndReason::Killed);
        let began = create(&table, &new);
        assert_eq!(began.id.slot, ended.id.slot);
        assert_eq!(table.complete(Side::Local, &old.keys[0], look_ups[0]), None);
        assert_eq!(table.complete(Side::Local, &new.keys[0], look_ups[1]), Some(began));
    }

    #[test]
    fn another_flow_at_the_place_that_was_remembered_is_not_taken_for_it() {
        let table = FlowTable::scratch(64);
        let [one, other] = [new_flow(1), new_flow(2)].map(|new| (new, create(&table, &new)));
        let mistaken = Begun { slot: Some(other.1.id.slot), ..begun(&table, &one.0.keys[0]) };
        assert_eq!(table.complete(Side::Local, &one.0.keys[0], mistaken), Some(one.1));
    }
}
