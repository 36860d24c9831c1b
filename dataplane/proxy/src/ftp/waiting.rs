//! What a blocked side has sent and nobody has read.

use super::{FtpError, INPUT_LIMIT};

/// Bytes that wait until their side is unblocked.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Vec<u8>);

impl Waiting {
    /// Keeps bytes behind those that wait already.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Result<(), FtpError> {
        if self.0.len() + bytes.len() > INPUT_LIMIT {
            return Err(FtpError::Overrun);
        }
        self.0.reserve_exact(bytes.len());
        self.0.extend(bytes);
        Ok(())
    }

    /// Gives all that waits, and the memory with it.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// Memory claimed, in bytes.
    pub(super) fn held(&self) -> usize {
        self.0.capacity()
    }
}
