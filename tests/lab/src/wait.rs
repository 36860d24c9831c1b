//! Waiting for a condition instead of sleeping and hoping.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};

/// Pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(5);

/// Calls `probe` until it yields a value, at least once and for at most `limit`.
///
/// # Errors
/// [`LabError::Timeout`] naming `what` if no call yielded a value in time.
pub fn wait_until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    try_wait_until(what, limit, || Ok(probe()))
}

/// Like [`wait_until`] for a probe that may itself fail; its first error ends the wait.
///
/// # Errors
/// The probe's error, or [`LabError::Timeout`].
pub fn try_wait_until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if start.elapsed() >= limit {
            return Err(LabError::Timeout { what: what.to_owned(), after: limit, detail: String::new() });
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_as_soon_as_the_probe_yields() {
        let mut calls = 0;
        let value = wait_until("third call", Duration::from_secs(5), || {
            calls += 1;
            (calls == 3).then_some(calls)
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn names_the_condition_that_never_came() {
        let error = wait_until::<()>("pigs fly", Duration::from_millis(20), || None).unwrap_err();
        assert!(error.to_string().contains("pigs fly"), "{error}");
    }
}
