//! The access policy: first match wins, no match is no.

use std::net::IpAddr;

use gridway_config::{AclAction, AclRule, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Vnet};

use crate::reason::{ACL_DENY, ACL_NO_MATCH, ACL_REJECT, Reason};
use crate::tuple::{ICMPV6, Tuple};

/// Judges a flow in virtual addresses.
pub(crate) fn judge(vnet: &Vnet, tuple: &Tuple) -> Result<(), Reason> {
    let mut rules: Vec<&AclRule> = vnet.acl.iter().collect();
    rules.sort_by_key(|rule| rule.line);
    match rules.into_iter().find(|rule| matches(rule, tuple)).map(|rule| rule.action) {
        Some(AclAction::Allow) => Ok(()),
        Some(AclAction::Reject) => Err(ACL_REJECT),
        Some(AclAction::Drop) => Err(ACL_DENY),
        None => Err(ACL_NO_MATCH),
    }
}

/// As [`judge`]; TCP taken up in mid-stream is judged in both directions, and one allow suffices.
pub(crate) fn judge_begin(vnet: &Vnet, tuple: &Tuple, midstream: bool) -> Result<(), Reason> {
    let verdict = judge(vnet, tuple);
    if midstream && verdict.is_err() && judge(vnet, &tuple.reversed()).is_ok() {
        return Ok(());
    }
    verdict
}

fn matches(rule: &AclRule, tuple: &Tuple) -> bool {
    let protocol = match rule.protocol {
        None => true,
        Some(PROTOCOL_ICMP) if tuple.source.is_ipv6() => matches!(tuple.protocol, PROTOCOL_ICMP | ICMPV6),
        Some(protocol) => protocol == tuple.protocol,
    };
    let ports = match &rule.ports {
        None => true,
        Some(ports) => {
            matches!(tuple.protocol, PROTOCOL_TCP | PROTOCOL_UDP) && ports.contains(&tuple.destination_port)
        }
    };
    let address = |side: &gridway_config::AddressMatch, address: IpAddr| {
        let within = side.prefixes.iter().any(|prefix| prefix.contains(&address));
        side.prefixes.is_empty() || within != side.negated
    };
    protocol && ports && address(&rule.source, tuple.source) && address(&rule.destination, tuple.destination)
}
