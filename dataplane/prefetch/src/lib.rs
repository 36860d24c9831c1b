//! Tells the processor what will be read soon.
//!
//! A prefetch instruction is done as soon as it is issued: unlike a read, it holds up nothing behind it while memory
//! answers, so that a burst's worth of them is under way at once. The standard library's `core::hint::prefetch_read`
//! is not stable yet; it takes this crate's place when it is.

/// Begins to load the cache line that holds the first byte of `value`. Has no effect that a program could see, and does
/// nothing on processors for which it is not written.
#[inline(always)]
pub fn prefetch<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch neither faults nor changes memory, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::prefetch;

    #[test]
    fn takes_any_reference() {
        prefetch(&());
        prefetch(&[0_u8; 4096]);
        prefetch("text");
    }
}
