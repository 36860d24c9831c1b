//! Names that were checked once: the rest of the program relies on their alphabet and length.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

/// A text that does not fit the name type it was meant for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("found \"{found}\", expected {expected}")]
pub struct NameError {
    /// The text as found.
    pub found: String,
    /// What the type accepts.
    pub expected: &'static str,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $expected:expr, $accepts:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What the type accepts, as told in error messages.
            pub const EXPECTED: &'static str = $expected;

            /// Checks `text` against [`Self::EXPECTED`].
            ///
            /// # Errors
            /// [`NameError`] with the text as found.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if $accepts(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { found: text.to_owned(), expected: Self::EXPECTED })
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    };
}

name_type!(
    /// Name of a node: one DNS label (RFC 1035), since `<node>.<domain>` is the certificate's SAN.
    NodeName,
    "a DNS label: lower-case letters, digits and inner hyphens, at most 63",
    is_dns_label
);
name_type!(
    /// DNS domain that all nodes of an installation share.
    Domain,
    "a DNS name in lower case, such as lab.example",
    is_dns_name
);
name_type!(
    /// Name of a network interface as the kernel takes it (`dev_valid_name`): 1 to 15 bytes.
    InterfaceName,
    "an interface name: 1 to 15 printable characters without '/', ':' and spaces",
    is_interface_name
);
name_type!(
    /// Name of a virtual network: a DNS label, as the tunnel protocol carries it.
    VnetName,
    "a DNS label: lower-case letters, digits and inner hyphens, at most 63",
    is_dns_label
);
name_type!(
    /// Name of a service, connector or port forward.
    ServiceName,
    "a name of letters, digits, '-', '_' and '.', at most 63, that starts with a letter or digit",
    is_plain_name
);
name_type!(
    /// Name of a set of prefixes. The alphabet keeps it apart from anything that reads as a prefix.
    ObjectName,
    "an object name: [a-z][a-z0-9-]*, at most 63 characters, other than \"any\"",
    is_object_name
);

impl NodeName {
    /// The only DNS SAN of this node's certificate: `<node>.<domain>`.
    #[must_use]
    pub fn san(&self, domain: &Domain) -> String {
        format!("{self}.{domain}")
    }
}

fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

// 189 leaves room for a 63-byte node name and its dot within the 253 bytes of a DNS name.
fn is_dns_name(text: &str) -> bool {
    text.len() <= 189 && text.split('.').all(is_dns_label)
}

fn is_interface_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text != "."
        && text != ".."
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':')
}

fn is_plain_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_object_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text != "any"
        && text.as_bytes()[0].is_ascii_lowercase()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_are_dns_labels() {
        for good in ["gw-a", "a", "0", &"x".repeat(63)] {
            assert!(NodeName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "GW", "-a", "a-", "a.b", "a_b", "gw a", &"x".repeat(64), "grün"] {
            assert!(NodeName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn san_of_the_longest_names_is_a_dns_name() {
        let node = NodeName::new(&"n".repeat(63)).unwrap();
        let domain = Domain::new(&[&"d".repeat(63) as &str; 2].join(".")).unwrap();
        assert!(node.san(&domain).len() <= 253);
        assert!(Domain::new(&["d"; 100].join(".")).is_err());
        assert!(Domain::new("lab..example").is_err());
    }

    #[test]
    fn interface_names_follow_the_kernel() {
        for good in ["eth0", "wan-0.5", "data0"] {
            assert!(InterfaceName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "eth0:1", "with space", "sixteen-letters-"] {
            assert!(InterfaceName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn object_names_never_read_as_a_prefix_or_a_keyword() {
        for bad in ["10.0.0.0", "fd00::", "any", "A", "!a", ""] {
            assert!(ObjectName::new(bad).is_err(), "{bad}");
        }
        assert!(ObjectName::new("printers-2").is_ok());
    }
}
