//! A queue of frames that come out a fixed time after they went in. No I/O, no clock: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Frames in order of arrival, bounded by their bytes.
#[derive(Debug)]
pub(crate) struct DelayLine {
    frames: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    limit: usize,
}

impl DelayLine {
    /// A line that holds at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, limit }
    }

    /// Takes a frame that arrived at `now`; false if the line is full and the frame is lost. A frame never
    /// overtakes an earlier one, even when the delay has shrunk between them.
    pub(crate) fn push(&mut self, now: Instant, delay: Duration, frame: &[u8]) -> bool {
        if self.bytes + frame.len() > self.limit {
            return false;
        }
        let due = self.frames.back().map_or(now + delay, |(last, _)| (now + delay).max(*last));
        self.bytes += frame.len();
        self.frames.push_back((due, frame.to_vec()));
        true
    }

    /// When the next frame has to leave.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.frames.front().map(|(due, _)| *due)
    }

    /// The next frame if it is due at `now`, with how late it is.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Duration, Vec<u8>)> {
        let due = self.next_due().filter(|due| *due <= now)?;
        let (_, frame) = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some((now - due, frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn holds_a_frame_until_it_is_due_and_tells_how_late_it_left() {
        let (start, mut line) = (Instant::now(), DelayLine::new(100));
        assert!(line.push(start, 10 * MS, b"one"));
        assert_eq!(line.pop_due(start + 9 * MS), None);
        assert_eq!(line.next_due(), Some(start + 10 * MS));
        assert_eq!(line.pop_due(start + 12 * MS), Some((2 * MS, b"one".to_vec())));
        assert_eq!(line.next_due(), None);
    }

    #[test]
    fn keeps_order_when_the_delay_shrinks() {
        let (start, mut line) = (Instant::now(), DelayLine::new(100));
        assert!(line.push(start, 10 * MS, b"one"));
        assert!(line.push(start + MS, MS, b"two"));
        assert_eq!(line.pop_due(start + 5 * MS), None);
        assert_eq!(line.pop_due(start + 10 * MS).map(|(_, frame)| frame), Some(b"one".to_vec()));
        assert_eq!(line.pop_due(start + 10 * MS).map(|(_, frame)| frame), Some(b"two".to_vec()));
    }

    #[test]
    fn refuses_frames_beyond_its_limit_and_takes_them_again_once_drained() {
        let (start, mut line) = (Instant::now(), DelayLine::new(5));
        assert!(line.push(start, MS, b"four"));
        assert!(!line.push(start, MS, b"xx"));
        assert!(line.pop_due(start + MS).is_some());
        assert!(line.push(start, MS, b"xx"));
    }
}
