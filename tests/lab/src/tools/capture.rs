//! `tcpdump` into a file without a name.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use memchr::memmem::Finder;
use nix::sys::signal::Signal;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::wait::try_wait_until;

/// Bytes read at once while searching.
const CHUNK: usize = 1 << 20;
/// How long tcpdump may take to start, to catch up, or to end.
const LIMIT: Duration = Duration::from_secs(10);

/// A running or stopped capture. Whole frames are kept, as pcap, in a file that vanishes with this guard.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    namespace: Namespace,
}

/// tcpdump's own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureReport {
    /// Frames written.
    pub captured: u64,
    /// Frames that the filter let through, as the kernel counts them (loopback counts each twice).
    pub received: u64,
    /// Frames that the kernel had no room for. A claim that something was *not* seen needs this to be 0.
    pub dropped: u64,
}

impl Capture {
    /// Captures on an interface; `filter` is a pcap filter, empty for everything. Returns once it captures.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what tcpdump said.
    pub fn start(namespace: &Namespace, interface: &str, filter: &str) -> Result<Self> {
        Self::start_in(namespace, interface, "inout", filter)
    }

    /// As [`Capture::start`], but only what the interface receives. (The filter word `inbound` loses the first
    /// frame: libpcap judges it itself, and cannot know its direction then.)
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn start_inbound(namespace: &Namespace, interface: &str, filter: &str) -> Result<Self> {
        Self::start_in(namespace, interface, "in", filter)
    }

    fn start_in(namespace: &Namespace, interface: &str, direction: &str, filter: &str) -> Result<Self> {
        let mut process = namespace
            .command("tcpdump")
            // 16 MiB of kernel buffer; -Z root: keep the uid, or the parent-death signal would be lost.
            .args(["-i", interface, "-n", "-s", "0", "-U", "--immediate-mode", "-B", "16384", "-Z", "root"])
            .args(["-w", "-", "-Q", direction])
            .args(filter.split_whitespace())
            .spawn()?;
        process.wait_for_output("listening on", LIMIT)?;
        Ok(Self { process, namespace: namespace.clone() })
    }

    /// Waits until tcpdump has written all that the kernel has for it, ends it, and returns its count. The
    /// capture can be searched afterwards.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not catch up in 10 s, [`LabError::Parse`].
    pub fn stop(&mut self) -> Result<CaptureReport> {
        if self.process.status()?.is_none() {
            self.settle()?;
            self.process.terminate(LIMIT)?;
        }
        parse(&self.process.stderr().text()?)
    }

    /// Asks for counts (SIGUSR1) until two in a row agree.
    fn settle(&mut self) -> Result<()> {
        let mut before = None;
        try_wait_until("tcpdump to catch up", LIMIT, || {
            let answers = count_answers(&self.process.stderr().text()?);
            self.process.signal(Signal::SIGUSR1)?;
            let stderr = try_wait_until("tcpdump's count", LIMIT, || {
                let text = self.process.stderr().text()?;
                Ok((count_answers(&text) > answers && text.ends_with('\n')).then_some(text))
            })?;
            let now = parse(&stderr)?;
            let settled = before.replace(now) == Some(now);
            Ok(settled.then_some(()))
        })
    }

    /// True if the captured bytes hold `needle` (headers count; a needle spread over two frames does not).
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn contains(&self, needle: &[u8]) -> Result<bool> {
        if needle.is_empty() {
            return Ok(true);
        }
        let (finder, file) = (Finder::new(needle), self.process.stdout());
        let mut buffer = vec![0; CHUNK + needle.len()];
        let mut offset = 0;
        loop {
            let filled = file.read_at(&mut buffer, offset)?;
            if finder.find(&buffer[..filled]).is_some() {
                return Ok(true);
            }
            if filled < buffer.len() {
                return Ok(false);
            }
            // The next read begins where a needle that this one cut off would begin.
            offset += CHUNK as u64;
        }
    }

    /// Waits until the capture holds `needle`.
    ///
    /// # Errors
    /// [`LabError::Timeout`].
    pub fn wait_for(&self, needle: &[u8], limit: Duration) -> Result<()> {
        try_wait_until("a marker in the capture", limit, || Ok(self.contains(needle)?.then_some(())))
    }

    /// Size of the capture, bytes.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn size(&self) -> Result<u64> {
        self.process.stdout().len()
    }

    /// The namespace that it was made in.
    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// All of the capture, as pcap.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let size = usize::try_from(self.size()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; size];
        let filled = self.process.stdout().read_at(&mut bytes, 0)?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Copies the capture to a pcap file.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let what = || format!("save a capture as {}", path.display());
        let mut target = File::create(path).map_err(LabError::io(what()))?;
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        loop {
            let filled = self.process.stdout().read_at(&mut buffer, offset)?;
            if filled == 0 {
                return Ok(());
            }
            target.write_all(&buffer[..filled]).map_err(LabError::io(what()))?;
            offset += filled as u64;
        }
    }
}

/// How often tcpdump has reported all three counts.
fn count_answers(stderr: &str) -> usize {
    stderr.matches("dropped by kernel").count()
}

/// The last counts in tcpdump's messages; separated by commas when asked for, by lines at its end. A count of one
/// says "packet".
fn parse(stderr: &str) -> Result<CaptureReport> {
    let number = |label: &str| {
        let before = stderr[..stderr.rfind(label)?].trim_end();
        let before = before.strip_suffix("packets").or_else(|| before.strip_suffix("packet"))?;
        before.split_whitespace().next_back()?.parse().ok()
    };
    let report = || {
        Some(CaptureReport {
            captured: number("captured")?,
            received: number("received by filter")?,
            dropped: number("dropped by kernel")?,
        })
    };
    report().ok_or_else(|| LabError::Parse {
        tool: "tcpdump",
        expected: "packets captured, received by filter, dropped by kernel",
        output: stderr.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_last_of_several_counts() {
        let text = "tcpdump: listening on lo\n\
            tcpdump: 4 packets captured, 12 packets received by filter, 0 packets dropped by kernel\n\
            6 packets captured\n13 packets received by filter\n1 packet dropped by kernel\n";
        assert_eq!(parse(text).unwrap(), CaptureReport { captured: 6, received: 13, dropped: 1 });
    }
}
