//! Buffers that cross threads: a fixed number, made at the start, used again and again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gridway_tunnel::RecordBuffer;
use gridway_tunnel::buffer::MAX_RECORD;

/// Bytes of a chunk: several full records and the start of another.
pub(crate) const CHUNK_LEN: usize = 128 * 1024;

/// Record buffers of a connection that may pass others at a time. Those that wait are filled up; each that is sealed, or on
/// its way from another worker, takes one.
pub(crate) const PASSING: u32 = 16;

/// Bytes received from a tunnel socket; `filled` of them are valid.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) filled: usize,
}

impl Chunk {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; CHUNK_LEN].into_boxed_slice(), filled: 0 }
    }

    /// As [`Self::new`], and written once: zeros are but promised by the kernel.
    fn with_memory() -> Self {
        Self { bytes: vec![0xff; CHUNK_LEN].into_boxed_slice(), filled: 0 }
    }
}

/// The pools of one node. What was given back last is taken first: it is the one that caches still have.
#[derive(Debug)]
pub(crate) struct Pools {
    records: Stack<RecordBuffer>,
    chunks: Stack<Chunk>,
}

/// A bounded stack that threads share; its lock is taken once a record, not once a packet.
#[derive(Debug)]
struct Stack<T> {
    items: Mutex<Vec<T>>,
    limit: usize,
}

impl<T> Stack<T> {
    fn new(limit: usize, make: impl FnMut() -> T) -> Self {
        Self { items: Mutex::new(std::iter::repeat_with(make).take(limit).collect()), limit }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // No code panics while it holds the lock.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<T> {
        self.lock().pop()
    }

    /// What finds no room is freed.
    fn give(&self, item: T) {
        let mut items = self.lock();
        if items.len() < self.limit {
            items.push(item);
        }
    }
}

impl Pools {
    /// Pools of `records` record buffers and `chunks` receive buffers, with memory behind all of them: a burst that needs
    /// more than ever before does not wait for the kernel to find some.
    pub(crate) fn new(records: usize, chunks: usize) -> Self {
        Self {
            records: Stack::new(records, RecordBuffer::with_memory),
            chunks: Stack::new(chunks, Chunk::with_memory),
        }
    }

    pub(crate) fn take_record(&self) -> Option<RecordBuffer> {
        self.records.take()
    }

    pub(crate) fn give_record(&self, mut record: RecordBuffer) {
        record.clear();
        self.records.give(record);
    }

    pub(crate) fn take_chunk(&self) -> Option<Chunk> {
        self.chunks.take()
    }

    pub(crate) fn give_chunk(&self, mut chunk: Chunk) {
        chunk.filled = 0;
        self.chunks.give(chunk);
    }

    /// Record buffers in use, and how many there are.
    pub(crate) fn records_used(&self) -> (usize, usize) {
        let limit = self.records.limit;
        (limit - self.records.lock().len(), limit)
    }

    /// Record buffers that one of `connections` may use at once besides those that pass: no connection can take them
    /// all, and each can keep its socket busy.
    pub(crate) fn quota(&self, connections: usize) -> u32 {
        let share = self.records.limit / connections.clamp(2, 64);
        u32::try_from(share.saturating_sub(PASSING as usize).clamp(8, 256)).expect("clamped")
    }
}

const _: () = assert!(CHUNK_LEN > 2 * (MAX_RECORD + 256));
