//! Buffers that cross threads: a fixed number, made at the start, used again and again.

use crossbeam::queue::ArrayQueue;
use gridway_tunnel::RecordBuffer;
use gridway_tunnel::buffer::MAX_RECORD;

/// Bytes of a chunk: several full records and the start of another.
pub(crate) const CHUNK_LEN: usize = 128 * 1024;

/// Record buffers of a connection that may pass others at a time: when a socket takes nothing, each turn's packets of
/// sparse flows take one.
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
}

/// The pools of one node.
#[derive(Debug)]
pub(crate) struct Pools {
    records: ArrayQueue<RecordBuffer>,
    record_limit: usize,
    chunks: ArrayQueue<Chunk>,
}

impl Pools {
    /// Pools of `records` record buffers and `chunks` receive buffers. The memory behind them is
    /// claimed from the kernel when it is first written.
    pub(crate) fn new(records: usize, chunks: usize) -> Self {
        let pools = Self {
            records: ArrayQueue::new(records),
            record_limit: records,
            chunks: ArrayQueue::new(chunks),
        };
        for _ in 0..records {
            pools.give_record(RecordBuffer::new());
        }
        for _ in 0..chunks {
            pools.give_chunk(Chunk::new());
        }
        pools
    }

    pub(crate) fn take_record(&self) -> Option<RecordBuffer> {
        self.records.pop()
    }

    pub(crate) fn give_record(&self, mut record: RecordBuffer) {
        record.clear();
        // A control record made outside of the pool finds no room and is freed.
        drop(self.records.push(record));
    }

    pub(crate) fn take_chunk(&self) -> Option<Chunk> {
        self.chunks.pop()
    }

    pub(crate) fn give_chunk(&self, mut chunk: Chunk) {
        chunk.filled = 0;
        drop(self.chunks.push(chunk));
    }

    /// Record buffers in use, and how many there are.
    pub(crate) fn records_used(&self) -> (usize, usize) {
        (self.record_limit - self.records.len().min(self.record_limit), self.record_limit)
    }

    /// Record buffers that one of `connections` may use at once besides those that pass: no connection can take them
    /// all, and each can keep its socket busy.
    pub(crate) fn quota(&self, connections: usize) -> u32 {
        let share = self.record_limit / connections.clamp(2, 64);
        u32::try_from(share.saturating_sub(PASSING as usize).clamp(8, 256)).expect("clamped")
    }
}

const _: () = assert!(CHUNK_LEN > 2 * (MAX_RECORD + 256));
