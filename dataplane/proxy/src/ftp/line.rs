//! A line while it is received.

use gridway_wire::time::Nanos;

/// The bytes of one line, complete or not. A complete one is forgotten when the next begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
    is_complete: bool,
    begun: Option<Nanos>,
}

impl Line {
    /// Adds a byte. False when the line has `limit` bytes already.
    #[must_use]
    pub(super) fn push(&mut self, byte: u8, limit: usize, now: Nanos) -> bool {
        self.forget_complete();
        self.begun.get_or_insert(now);
        let has_room = self.bytes.len() < limit;
        if has_room {
            self.bytes.push(byte);
        }
        has_room
    }

    /// The line is complete: what was pushed since the last one.
    pub(super) fn end(&mut self) -> &[u8] {
        self.forget_complete();
        self.is_complete = true;
        self.begun = None;
        &self.bytes
    }

    /// The bytes received of a line that is not complete.
    pub(super) fn partial(&self) -> &[u8] {
        if self.is_complete { &[] } else { &self.bytes }
    }

    /// When the line that is not complete began.
    pub(super) fn begun(&self) -> Option<Nanos> {
        self.begun
    }

    /// Memory claimed, in bytes.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    fn forget_complete(&mut self) {
        if std::mem::take(&mut self.is_complete) {
            self.bytes.clear();
        }
    }
}
