//! Whether somebody keeps the clock right.

use std::{io, mem};

/// State of the kernel's clock (adjtimex(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// A time daemon keeps it right: `STA_UNSYNC` is not set.
    pub synchronised: bool,
    /// How far it may be off, microseconds; what the kernel assumes.
    pub max_error_us: i64,
}

/// Asks the kernel; changes nothing.
///
/// # Errors
/// Those of adjtimex(2).
pub fn clock() -> io::Result<Clock> {
    // SAFETY: `timex` is plain data of which all zeroes is a value.
    let mut timex: libc::timex = unsafe { mem::zeroed() };
    // SAFETY: the kernel reads and writes one `timex`; with `modes` 0 it changes nothing.
    if unsafe { libc::adjtimex(&raw mut timex) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Clock { synchronised: timex.status & libc::STA_UNSYNC == 0, max_error_us: timex.maxerror })
}
