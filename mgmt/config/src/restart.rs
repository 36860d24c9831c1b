//! Which changes a running node cannot take.

use crate::config::Config;
use crate::model::Data;

impl Config {
    /// The fields that differ and need a restart: everything that is made once, with privileges, at start.
    #[must_use]
    pub fn restart_fields(old: &Self, new: &Self) -> Vec<&'static str> {
        fn of_data<T: PartialEq>(
            old: Option<&Data>,
            new: Option<&Data>,
            field: impl Fn(&Data) -> &T,
        ) -> bool {
            old.map(&field) != new.map(&field)
        }
        let (old_data, new_data) = (old.data.as_ref(), new.data.as_ref());
        let changes = [
            ("node.name", old.node.name != new.node.name),
            ("node.domain", old.node.domain != new.node.domain),
            ("node.role", old.node.role != new.node.role),
            ("data.interface", of_data(old_data, new_data, |data| &data.interface)),
            ("data.attach", of_data(old_data, new_data, |data| &data.attach)),
            ("data.rings", of_data(old_data, new_data, |data| &data.rings)),
            ("data.deny", of_data(old_data, new_data, |data| &data.deny)),
            ("management.interface", old.management != new.management),
            ("workers.cpus", old.workers.cpus != new.workers.cpus),
            ("workers.roles", old.workers.roles != new.workers.roles),
            ("workers.polling", old.workers.polling != new.workers.polling),
            ("tunnel.listen", old.tunnel.listen != new.tunnel.listen),
            ("limits.flows", old.limits.flows != new.limits.flows),
            ("limits.records", old.limits.records != new.limits.records),
            ("limits.held_packets", old.limits.held_packets != new.limits.held_packets),
            ("limits.fragments", old.limits.fragments != new.limits.fragments),
            ("limits.handshakes", old.limits.handshakes != new.limits.handshakes),
            ("limits.sessions", old.limits.sessions != new.limits.sessions),
            ("limits.control_clients", old.limits.control_clients != new.limits.control_clients),
            ("limits.flow_log", old.limits.flow_log != new.limits.flow_log),
            ("log.format", old.log.format != new.log.format),
            ("log.level", old.log.level != new.log.level),
            ("control.socket", old.control != new.control),
        ];
        changes.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field).collect()
    }
}
