//! Rules that differ in protocol and ports only: which of them is the first, without asking each.

use std::collections::BTreeMap;
use std::ops::Range;

use gridway_config::AclRule;
use gridway_wire::protocol::Protocol;

use super::NO_RULE;

/// The first match of several lists of rules, for each protocol and port.
#[derive(Debug, Default)]
pub(super) struct Choices {
    choices: Vec<Choice>,
    steps: Vec<Step>,
}

/// One list: where its steps are.
#[derive(Debug)]
struct Choice {
    tcp: Range<u32>,
    udp: Range<u32>,
    /// By number, ascending.
    named: Box<[(u8, Range<u32>)]>,
    /// For protocols that no rule names.
    others: Range<u32>,
}

/// From port `start` up to the start of the next step `winner` is the first rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    start: u16,
    winner: u32,
}

impl Choices {
    /// Takes in the list of `members`, which are indices into `rules`, ascending. Its number.
    pub(super) fn push(&mut self, rules: &[AclRule], members: &[u32]) -> u32 {
        // Nothing comes behind a rule that matches whatever is asked.
        let all = |index: &u32| {
            let rule = &rules[*index as usize];
            rule.protocol.is_none() && rule.ports.is_none()
        };
        let members = members.iter().position(all).map_or(members, |last| &members[..=last]);
        let mut named: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
        let mut any = Vec::new();
        for index in members {
            match rules[*index as usize].protocol {
                Some(number) => named.entry(number).or_default().push(*index),
                None => any.push(*index),
            }
        }
        // A rule for ICMP matches ICMPv6 too.
        if let Some(icmp) = named.get(&Protocol::ICMP.0).cloned() {
            named.entry(Protocol::ICMPV6.0).or_default().extend(icmp);
        }
        let others = self.add(rules, &any);
        let mut named: Vec<(u8, Range<u32>)> = named
            .into_iter()
            .map(|(number, mut indices)| {
                indices.extend(&any);
                indices.sort_unstable();
                (number, self.add(rules, &indices))
            })
            .collect();
        let mut take = |protocol: Protocol| {
            let at = named.iter().position(|(number, _)| *number == protocol.0);
            at.map_or(others.clone(), |at| named.remove(at).1)
        };
        let (tcp, udp) = (take(Protocol::TCP), take(Protocol::UDP));
        self.choices.push(Choice { tcp, udp, named: named.into(), others });
        self.choices.len() as u32 - 1
    }

    /// The first rule of list `choice` for a packet, or [`NO_RULE`].
    pub(super) fn first(&self, choice: u32, protocol: Protocol, port: u16) -> u32 {
        let choice = &self.choices[choice as usize];
        let steps = match protocol {
            Protocol::TCP => &choice.tcp,
            Protocol::UDP => &choice.udp,
            Protocol(number) => match choice.named.binary_search_by_key(&number, |(named, _)| *named) {
                Ok(at) => &choice.named[at].1,
                Err(_) => &choice.others,
            },
        };
        let steps = &self.steps[steps.start as usize..steps.end as usize];
        // The first step starts at port 0.
        steps[steps.partition_point(|step| step.start <= port) - 1].winner
    }

    /// The steps of a list whose rules all match the protocol.
    fn add(&mut self, rules: &[AclRule], members: &[u32]) -> Range<u32> {
        let bounds = |index: u32| {
            let ports = rules[index as usize].ports.as_ref();
            ports.map_or((0, u16::MAX), |ports| (*ports.start(), *ports.end()))
        };
        let starts = members
            .iter()
            .map(|index| bounds(*index))
            .flat_map(|(first, last)| [Some(first), last.checked_add(1)])
            .flatten();
        let mut starts: Vec<u16> = starts.chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut steps: Vec<Step> = starts.into_iter().map(|start| Step { start, winner: NO_RULE }).collect();
        // `free[n]`: the first step from n on that nobody has won, or one on the way to it.
        let mut free: Vec<usize> = (0..=steps.len()).collect();
        for index in members {
            let (first, last) = bounds(*index);
            let mut at = next_free(&mut free, steps.partition_point(|step| step.start < first));
            while at < steps.len() && steps[at].start <= last {
                steps[at].winner = *index;
                free[at] = at + 1;
                at = next_free(&mut free, at);
            }
        }
        steps.dedup_by_key(|step| step.winner);
        let first = self.steps.len() as u32;
        self.steps.extend(steps);
        first..self.steps.len() as u32
    }
}

/// Follows the way, and shortens it for the next.
fn next_free(free: &mut [usize], mut at: usize) -> usize {
    while free[at] != at {
        free[at] = free[free[at]];
        at = free[at];
    }
    at
}
