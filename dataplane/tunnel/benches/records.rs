//! Sealing and opening TLS records, AES-256-GCM. Only timed: what ciphers do on wide registers is more than valgrind
//! knows.

#[path = "../tests/tunnel/support.rs"]
#[expect(dead_code, reason = "tests look at more than records")]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use gridway_micro::Functions;
use gridway_tunnel::buffer::MAX_PLAINTEXT;
use gridway_tunnel::{RecordBuffer, RecordLayer};
use gridway_wire::frame::FRAME_HEADER_LEN;
use support::{layers, record};

/// Plaintext of the records in bytes: a frame with a packet of 64 bytes or so, and as much as TLS allows.
const SIZES: [usize; 2] = [64 + FRAME_HEADER_LEN, MAX_PLAINTEXT];
/// Records sealed before they are opened: few enough for caches, so many that reading the clock takes no time.
const BATCH: u64 = 16;

/// A connection, and records on their way.
struct Way {
    from: RecordLayer,
    to: RecordLayer,
    records: Vec<RecordBuffer>,
    /// As they arrive.
    arrived: Vec<Vec<u8>>,
}

impl Way {
    fn new(size: usize) -> Self {
        let (from, to) = layers();
        let records: Vec<_> = (0..BATCH).map(|_| record(&vec![0x5a; size - FRAME_HEADER_LEN])).collect();
        assert!(records.iter().all(|record| record.plaintext().len() == size), "one frame a record");
        let arrived = records.iter().map(|_| Vec::new()).collect();
        Self { from, to, records, arrived }
    }

    /// The key is changed in time; gives the record that says so to the reader.
    fn update(&mut self) -> Option<Vec<u8>> {
        self.from.update_due().then(|| {
            let mut update = RecordBuffer::new();
            self.from.update_key(&mut update).expect("rustls derives the key");
            update.sealed().to_vec()
        })
    }

    /// Seals up to a batch of records where they stand: what the last time has made of them, which is as long.
    fn seal(&mut self, count: u64) {
        for record in self.records.iter_mut().take(count as usize) {
            self.from.seal(record).expect("a record of legal size");
        }
    }

    /// The sealed records, in the reader's memory.
    fn arrive(&mut self) {
        for (arrived, record) in self.arrived.iter_mut().zip(&self.records) {
            arrived.clear();
            arrived.extend_from_slice(record.sealed());
        }
    }

    fn open(&mut self, count: u64) {
        for record in self.arrived.iter_mut().take(count as usize) {
            std::hint::black_box(self.to.open(record).expect("it was just sealed"));
        }
    }
}

/// `count` operations in batches; the time of what `timed` does.
fn batches(way: &mut Way, mut count: u64, mut timed: impl FnMut(&mut Way, u64) -> Duration) -> Duration {
    let mut elapsed = Duration::ZERO;
    while count > 0 {
        let batch = count.min(BATCH);
        elapsed += timed(way, batch);
        count -= batch;
    }
    elapsed
}

fn main() -> ExitCode {
    let mut functions = Functions::from_arguments();
    for size in SIZES {
        functions.add_timed(
            "seal, of bytes",
            size,
            || Way::new(size),
            |way, count| {
                batches(way, count, |way, batch| {
                    // Nobody reads.
                    drop(way.update());
                    let start = Instant::now();
                    way.seal(batch);
                    start.elapsed()
                })
            },
        );
        functions.add_timed(
            "open, of bytes",
            size,
            || Way::new(size),
            |way, count| {
                batches(way, count, |way, batch| {
                    if let Some(mut update) = way.update() {
                        way.to.open(&mut update).expect("it is the next record");
                    }
                    way.seal(batch);
                    way.arrive();
                    let start = Instant::now();
                    way.open(batch);
                    start.elapsed()
                })
            },
        );
    }
    functions.finish()
}
