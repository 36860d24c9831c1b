//! What is allowed in a configuration file but cannot be meant.

use std::fmt;
use std::path::PathBuf;

use crate::model::AclRule;

/// One warning with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The file as it was named.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Dotted path, such as `vnet[0].acl[3]`.
    pub field: String,
    /// What is odd.
    pub concern: Concern,
}

/// `file:line: field: concern`.
impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file.display(), self.line, self.field, self.concern)
    }
}

/// What is odd, with the values found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// One earlier rule matches all that a rule matches.
    Shadowed {
        /// Line of the rule that can never match.
        line: u32,
        /// Line of the earlier rule.
        by: u32,
        /// What the earlier rule matches, as `tcp 443, 10.0.0.0/8 -> any`.
        matches: String,
    },
    /// No address of a rule's side is one that packets of the vnet can have.
    OutsideCidr {
        /// Line of the rule that can never match.
        line: u32,
        /// The side as found.
        found: String,
        /// The prefixes of the vnet.
        cidr: String,
    },
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shadowed { line, by, matches } => {
                write!(f, "line {line} can never match: line {by} matches all of it ({matches})")
            }
            Self::OutsideCidr { line, found, cidr } => {
                write!(f, "line {line} can never match: {found} lies outside of the vnet's cidr ({cidr})")
            }
        }
    }
}

/// What a rule matches, for a message.
pub(crate) fn matches(rule: &AclRule) -> String {
    let ports = rule.ports_text().map(|ports| format!(" {ports}")).unwrap_or_default();
    format!("{}{ports}, {} -> {}", rule.protocol_text(), rule.source, rule.destination)
}
