//! Which worker does what: from the configuration and the machine.

use gridway_config::{Cpus, Roles, Workers};

/// One worker's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// CPU it is pinned to.
    pub(crate) cpu: usize,
    /// Queues of the data NIC that it owns.
    pub(crate) queues: Vec<u32>,
    /// Whether it owns tunnel connections.
    pub(crate) tunnels: bool,
}

/// Divides `queues` receive queues among workers on `available` CPUs.
///
/// Combined, every worker has queues and connections. Separate, half of them (rounded down, at least
/// one) own connections and the others queues; more data workers than queues would be idle, so the
/// rest owns connections too.
pub(crate) fn divide(workers: &Workers, available: &[usize], queues: u32) -> Vec<Part> {
    let cpus = match &workers.cpus {
        Cpus::List(cpus) => cpus.clone(),
        Cpus::Auto => available.to_vec(),
    };
    let separate = match workers.roles {
        Roles::Combined => false,
        Roles::Separate => true,
        Roles::Auto => cpus.len() > 2,
    };
    let queues = queues.max(1);
    let (data, tunnels_from) = if !separate {
        (cpus.len().min(queues as usize), 0)
    } else {
        let data = (cpus.len() - cpus.len() / 2).min(queues as usize).max(1);
        (data, data)
    };
    let mut parts: Vec<Part> = cpus
        .iter()
        .enumerate()
        .map(|(index, cpu)| Part { cpu: *cpu, queues: Vec::new(), tunnels: index >= tunnels_from })
        .collect();
    if separate && parts.len() == 1 {
        // One CPU for both roles: two workers share it.
        parts.push(Part { cpu: parts[0].cpu, queues: Vec::new(), tunnels: true });
    }
    for queue in 0..queues {
        parts[queue as usize % data].queues.push(queue);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(roles: Roles, cpus: &[usize]) -> Workers {
        Workers { cpus: Cpus::List(cpus.to_vec()), roles, ..Workers::default() }
    }

    fn part(cpu: usize, queues: &[u32], tunnels: bool) -> Part {
        Part { cpu, queues: queues.to_vec(), tunnels }
    }

    #[test]
    fn one_cpu_does_everything() {
        assert_eq!(divide(&workers(Roles::Auto, &[3]), &[], 2), [part(3, &[0, 1], true)]);
    }

    #[test]
    fn separate_roles_never_share_a_worker() {
        assert_eq!(
            divide(&workers(Roles::Separate, &[0, 1, 1]), &[], 2),
            [part(0, &[0], false), part(1, &[1], false), part(1, &[], true)]
        );
        assert_eq!(
            divide(&workers(Roles::Separate, &[0]), &[], 1),
            [part(0, &[0], false), part(0, &[], true)]
        );
    }

    #[test]
    fn auto_separates_beyond_two_cpus() {
        let auto = Workers::default();
        assert!(divide(&auto, &[0, 1], 2).iter().all(|part| part.tunnels && part.queues.len() == 1));
        let four = divide(&auto, &[0, 1, 2, 3], 8);
        assert_eq!(four.iter().filter(|part| part.tunnels).count(), 2);
        assert_eq!(four.iter().map(|part| part.queues.len()).sum::<usize>(), 8);
    }

    #[test]
    fn workers_without_a_queue_own_connections() {
        let parts = divide(&workers(Roles::Separate, &[0, 1, 2, 3]), &[], 1);
        assert_eq!(parts.iter().filter(|part| part.tunnels).count(), 3);
    }
}
