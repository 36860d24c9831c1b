//! Bounds-checked reads of a frame, in the form that the verifier follows.

use gridway_steer_abi::{Address, Fate};

use crate::context::Context;

/// No header that steering reads begins further in. What XDP sees is shorter (one buffer).
pub const MAX_OFFSET: usize = 0xfff;

/// Why a frame cannot be steered.
///
/// As wide as a register: the rest of a narrower one the compiler may fill up with whatever is at hand, be it a
/// pointer, and the verifier refuses arithmetic with those.
#[derive(Clone, Copy)]
#[repr(u64)]
pub enum Unsteerable {
    /// It ends before something that it announces.
    Truncated,
    /// Its fields contradict each other, or the EtherType.
    Inconsistent,
    /// The RFC says that a receiver discards it.
    Forbidden,
    /// More IPv6 extension headers than the program walks.
    TooManyHeaders,
    /// The driver could not move the start of the frame to take a tag off.
    NotUntagged,
}

impl Unsteerable {
    /// All are drops; the list is complete so that a new error must be decided here.
    #[inline(always)]
    pub fn fate(self) -> Fate {
        match self {
            Self::Truncated | Self::Inconsistent | Self::Forbidden | Self::TooManyHeaders => {
                Fate::DropMalformed
            }
            Self::NotUntagged => Fate::DropVlan,
        }
    }
}

/// The bytes of one frame, from the destination MAC on.
pub struct Frame<'a, C> {
    pub context: &'a C,
    start: usize,
    end: usize,
}

impl<'a, C: Context> Frame<'a, C> {
    #[inline(always)]
    pub fn new(context: &'a C) -> Self {
        Self { context, start: context.start(), end: context.end() }
    }

    /// Whether the frame has `length` bytes from `offset` on. Not all of them need be readable.
    ///
    /// Numbers are compared, not pointers: kernels before 6.13 know nothing of a number whose bytes were swapped, and let
    /// none be added to a pointer.
    #[inline(always)]
    pub fn holds(&self, offset: usize, length: usize) -> bool {
        offset <= MAX_OFFSET && offset + length <= self.context.length()
    }

    /// Reads `T` at an `offset` that is a constant but for peeled tags, as it lies.
    #[inline(always)]
    pub fn read<T: Plain>(&self, offset: usize) -> Result<T, Unsteerable> {
        self.read_before(self.end, offset)
    }

    /// Reads a big-endian `u16`, else as [`Self::read`].
    #[inline(always)]
    pub fn read_u16(&self, offset: usize) -> Result<u16, Unsteerable> {
        Ok(u16::from_be(self.read(offset)?))
    }

    /// Reads an IPv6 address, else as [`Self::read`].
    #[inline(always)]
    pub fn read_v6(&self, offset: usize) -> Result<Address, Unsteerable> {
        Ok(Address::from_halves(self.read(offset)?, self.read(offset + 8)?))
    }

    /// Reads `T` at an `offset` that was computed from the frame's own length fields.
    ///
    /// The compiler could prove from earlier checks of those fields that the read lies within the frame, and
    /// leave the check out; the verifier cannot follow such a proof. An end that is loaded anew, as far as the
    /// compiler knows another one, keeps the check. Not for single bytes: of a comparison "before the end" the
    /// verifier learns nothing about those.
    #[inline(always)]
    pub fn read_computed<T: Plain>(&self, offset: usize) -> Result<T, Unsteerable> {
        self.read_before(self.context.end(), offset)
    }

    #[inline(always)]
    fn read_before<T: Plain>(&self, end: usize, offset: usize) -> Result<T, Unsteerable> {
        if offset > MAX_OFFSET || self.start + offset + size_of::<T>() > end {
            return Err(Unsteerable::Truncated);
        }
        // SAFETY: the bytes lie within the frame, `T` is an integer (`Plain` is implemented here only), and the
        // read does not ask for alignment.
        Ok(unsafe { ((self.start + offset) as *const T).read_unaligned() })
    }
}

/// Integers, of which every bit pattern is a value.
pub trait Plain: Copy {}

impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
