//! What sets a flow apart from the plain 1:1 ones.

/// A set of properties that a flow has from its first packet to its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Traits(u8);

impl Traits {
    /// None of them.
    pub const PLAIN: Self = Self(0);
    /// Its remote host shares a local address with others: the flow holds a port mapping.
    pub const SHARED: Self = Self(1);
    /// From one peer to another: both of its keys are of the overlay.
    pub const RELAYED: Self = Self(2);
    /// Its local destination is a shared address: packets from the overlay go back there.
    pub const HAIRPIN: Self = Self(4);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in the set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in the set.
    #[must_use]
    pub const fn is_any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}
