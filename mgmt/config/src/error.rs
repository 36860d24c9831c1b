//! Everything that can be wrong with a configuration file.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// All errors of one file, in the order of their lines. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// `None` when there are no errors.
    pub(crate) fn new(mut errors: Vec<ConfigError>) -> Option<Self> {
        errors.sort_by(|a, b| (a.line, &a.field).cmp(&(b.line, &b.field)));
        (!errors.is_empty()).then_some(Self { errors })
    }

    /// The errors.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

/// One error a line.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// One error with its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: PathBuf,
    /// Line, from 1; of the table's header where the field is missing. `None` where no line is to blame.
    pub line: Option<usize>,
    /// Dotted path, such as `vnet[0].route[2].via`; empty where the file as a whole is wrong.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: Problem,
}

/// `file:line: field: problem`.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.problem)
    }
}

/// What is wrong, with the value found and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// The file could not be read.
    #[error("cannot read the file: {reason}")]
    Unreadable {
        /// The operating system's reason.
        reason: String,
    },
    /// The file is longer than any sensible configuration.
    #[error("the file is longer than {limit} bytes")]
    TooLong {
        /// Size that is accepted.
        limit: u64,
    },
    /// Not TOML.
    #[error("not valid TOML: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// A key the schema does not know.
    #[error("unknown key, expected one of: {known}")]
    UnknownKey {
        /// Keys of this table.
        known: String,
    },
    /// A key that must be there is not.
    #[error("missing, expected {expected}")]
    Missing {
        /// What the key takes.
        expected: String,
    },
    /// A value that the field does not take.
    #[error("found {found}, expected {expected}")]
    Invalid {
        /// The value as found.
        found: String,
        /// What the field takes.
        expected: String,
    },
    /// A prefix whose host bits are set.
    #[error("found {found}, which has host bits set, expected {right}")]
    HostBits {
        /// The prefix as found.
        found: String,
        /// The prefix with the host bits cleared.
        right: String,
    },
    /// A name that nothing defines.
    #[error("found \"{found}\", expected the name of {kind}; there are: {known}")]
    UnknownName {
        /// The name as found.
        found: String,
        /// What it should name.
        kind: &'static str,
        /// The names that exist.
        known: String,
    },
    /// A value that must be unique is not.
    #[error("found {found} again, expected a value other than that of {first} in line {line}")]
    Duplicate {
        /// The value as found.
        found: String,
        /// Field that has it already.
        first: String,
        /// Line of that field.
        line: usize,
    },
    /// Two prefixes that must be disjoint are not.
    #[error(
        "found {found}, which overlaps {other} of {other_field} in line {line}, expected disjoint prefixes"
    )]
    Overlap {
        /// The prefix as found.
        found: String,
        /// The prefix it overlaps.
        other: String,
        /// Field of that prefix.
        other_field: String,
        /// Line of that field.
        line: usize,
    },
    /// A prefix or address lies outside of what it must be part of.
    #[error("found {found}, expected {what} within the vnet's cidr: {cidr}")]
    OutsideCidr {
        /// The value as found.
        found: String,
        /// "a prefix" or "an address".
        what: &'static str,
        /// The prefixes of the vnet.
        cidr: String,
    },
    /// IPv4 meets IPv6.
    #[error("found {found} with {other}, expected one address family")]
    MixedFamilies {
        /// The value as found.
        found: String,
        /// The value it is used with.
        other: String,
    },
    /// The two sides of a 1:1 translation differ in length.
    #[error("found {local} for {virtual_prefix}, expected equal prefix lengths")]
    UnequalLengths {
        /// Local side.
        local: String,
        /// Virtual side.
        virtual_prefix: String,
    },
    /// Objects that hold each other.
    #[error("found objects that hold each other ({cycle}), expected no cycle")]
    Cycle {
        /// The names, `a -> b -> a`.
        cycle: String,
    },
    /// Two listeners of the node at one address and port.
    #[error(
        "found {found}, which {other} of {other_field} in line {line} takes, expected another address or port"
    )]
    Taken {
        /// The address and port as found.
        found: String,
        /// Those that take it: the same, or one of them a wildcard address.
        other: String,
        /// Field of the other.
        other_field: String,
        /// Line of that field.
        line: usize,
    },
}
