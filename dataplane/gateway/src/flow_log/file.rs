//! A file that lines are appended to, across full disks and renames.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use gridway_wire::time::Nanos;
use rustix::fs::OFlags;
use serde::Serialize;

use super::complaint::Complaint;

/// Lines are written together; each fits.
const BUFFER: usize = 64 * 1024;
/// How often opening is tried.
const RETRY: Duration = Duration::from_secs(1);

/// The file, opened when the first line is there.
#[derive(Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    out: Option<BufWriter<File>>,
    /// Lines in the buffer.
    waiting: u64,
    retry: Nanos,
    line: Vec<u8>,
    complaint: Complaint,
}

impl LineFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            out: None,
            waiting: 0,
            retry: Nanos::default(),
            line: Vec::new(),
            complaint: Complaint::default(),
        }
    }

    /// Opens the file now, so that it exists before the first line.
    pub(super) fn open(&mut self, now: Nanos) {
        self.retry = now + RETRY;
        // Neither a pipe without a reader nor one that is full may hold the log up.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags of open(2) are an int");
        let opened =
            OpenOptions::new().create(true).append(true).mode(0o640).custom_flags(flags).open(&self.path);
        match opened {
            Ok(file) => self.out = Some(BufWriter::with_capacity(BUFFER, file)),
            Err(error) => self.complain(&error, now),
        }
    }

    /// Writes one line; gives how many were lost by that, which is 0 or 1.
    pub(super) fn write(&mut self, line: &impl Serialize, now: Nanos) -> u64 {
        if self.out.is_none() && now >= self.retry {
            self.open(now);
        }
        let Some(out) = &mut self.out else { return 1 };
        self.line.clear();
        let written = serde_json::to_writer(&mut self.line, line).map_err(io::Error::from).and_then(|()| {
            self.line.push(b'\n');
            // All of a line or nothing: the buffer is emptied first when it has no room.
            out.write_all(&self.line)
        });
        match written {
            Ok(()) => self.waiting += 1,
            Err(error) => {
                self.complain(&error, now);
                return 1;
            }
        }
        0
    }

    /// Hands what was written to the kernel. What it does not take waits.
    pub(super) fn flush(&mut self, now: Nanos) {
        let Some(out) = &mut self.out else { return };
        match out.flush() {
            Ok(()) => self.waiting = 0,
            Err(error) => self.complain(&error, now),
        }
    }

    /// Closes the file; gives how many lines were lost by that.
    pub(super) fn close(&mut self, now: Nanos) -> u64 {
        self.flush(now);
        if let Some(out) = self.out.take() {
            // Dropped as it is, it would try once more.
            drop(out.into_parts());
        }
        std::mem::take(&mut self.waiting)
    }

    fn complain(&mut self, error: &io::Error, now: Nanos) {
        if self.complaint.may_be_said(now) {
            tracing::warn!(%error, "cannot write the flow log {}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Nanos = Nanos(1_000_000_000);

    #[test]
    fn lines_are_appended_and_a_renamed_file_is_left_whole() {
        let dir = std::env::temp_dir().join(format!("gridway-lines-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let (path, renamed) = (dir.join("flows"), dir.join("flows.1"));
        let mut file = LineFile::new(path.clone());
        assert_eq!(file.write(&"one", NOW), 0);
        file.flush(NOW);
        std::fs::rename(&path, &renamed).unwrap();
        assert_eq!(file.write(&"two", NOW) + file.close(NOW), 0);
        file.open(NOW);
        assert_eq!(file.write(&"three", NOW) + file.close(NOW), 0);
        let text = [&renamed, &path].map(|path| std::fs::read_to_string(path).unwrap());
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(text, ["\"one\"\n\"two\"\n", "\"three\"\n"]);
    }

    #[test]
    fn a_full_disk_costs_lines_that_are_counted_and_nothing_else() {
        let mut file = LineFile::new("/dev/full".into());
        let line = "x".repeat(1000);
        let lost: u64 = (0..200).map(|_| file.write(&line, NOW)).sum();
        assert!((100..200).contains(&lost), "{lost} of 200: 64 KiB wait");
        file.flush(NOW);
        assert_eq!(lost + file.close(NOW), 200);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_tried_again_later() {
        let mut file = LineFile::new("/nowhere/flows".into());
        assert_eq!((file.write(&1, NOW), file.write(&2, NOW)), (1, 1));
        file.path = "/dev/null".into();
        assert_eq!(file.write(&3, NOW), 1, "not yet");
        assert_eq!(file.write(&4, NOW + RETRY), 0);
    }
}
