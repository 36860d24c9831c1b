//! Bytes that wait for a socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

/// Room that an empty backlog keeps: sessions are many, and most are idle.
const KEPT: usize = 2048;

/// Bytes for a local socket. Those of the peer's are told apart from those that were put in front here: only what the
/// peer has sent gives it credit when it leaves.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: VecDeque<u8>,
    /// Bytes at the front that no peer has sent.
    own: usize,
}

impl Backlog {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Puts bytes of this node's in front of everything: nothing was written yet.
    pub(crate) fn prepend(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().rev() {
            self.bytes.push_front(*byte);
        }
        self.own += bytes.len();
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Writes at most `most` bytes, once. Gives how many left, and how many of them the peer had sent.
    pub(crate) fn write(&mut self, socket: &mut impl Write, most: usize) -> io::Result<(usize, usize)> {
        let (front, back) = self.bytes.as_slices();
        let front = &front[..front.len().min(most)];
        let back = &back[..back.len().min(most - front.len())];
        let count = socket.write_vectored(&[IoSlice::new(front), IoSlice::new(back)])?;
        Ok((count, self.advance(count)))
    }

    /// Copies bytes from the front to `room`, and gives how many.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> usize {
        let count = io::Read::read(&mut self.bytes, room).expect("memory is always readable");
        // A `VecDeque` gives its front half first.
        let more = io::Read::read(&mut self.bytes, &mut room[count..]).expect("memory is always readable");
        self.shrink();
        count + more
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.own = 0;
        std::mem::take(&mut self.bytes).into()
    }

    fn advance(&mut self, count: usize) -> usize {
        self.bytes.drain(..count);
        self.shrink();
        let own = self.own.min(count);
        self.own -= own;
        count - own
    }

    fn shrink(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_front_gives_no_credit() {
        let mut backlog = Backlog::default();
        backlog.push(b"data");
        backlog.prepend(b"header");
        let mut out = Vec::new();
        assert_eq!(backlog.write(&mut out, 4).unwrap(), (4, 0));
        assert_eq!(backlog.write(&mut out, 4).unwrap(), (4, 2));
        assert_eq!(backlog.write(&mut out, 9).unwrap(), (2, 2));
        assert_eq!(out, b"headerdata");
        assert!(backlog.is_empty());
    }

    #[test]
    fn is_read_in_order_across_its_seam() {
        let mut backlog = Backlog::default();
        backlog.push(&[1; 1000]);
        assert_eq!(backlog.read(&mut [0; 900]), 900);
        backlog.push(&[2; 900]);
        let mut room = [0; 2000];
        assert_eq!(backlog.read(&mut room), 1000);
        assert!(room[..100].iter().all(|byte| *byte == 1) && room[100..1000].iter().all(|byte| *byte == 2));
    }
}
