//! `tshark`: what a capture shows, as fields.

use std::time::Duration;

use crate::error::Result;
use crate::tools::capture::Capture;

/// Has every checksum verified.
const VERIFY: [&str; 12] = [
    "-o",
    "ip.check_checksum:TRUE",
    "-o",
    "tcp.check_checksum:TRUE",
    "-o",
    "udp.check_checksum:TRUE",
    "-o",
    "sctp.checksum:CRC 32c",
    "-o",
    "ip.defragment:TRUE",
    "-o",
    "ipv6.defragment:TRUE",
];
/// A checksum of any layer that is wrong. Of a packet that an ICMP error quotes only the IP header counts, because
/// the rest is cut off.
const BAD_CHECKSUM: &str = "ip.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0 \
    || (!icmp && !icmpv6 && \
    (tcp.checksum.status == 0 || udp.checksum.status == 0 || sctp.checksum.status == 0))";

impl Capture {
    /// The frames that a display filter of Wireshark matches, each as the first value of every field asked for
    /// (empty where it has none).
    ///
    /// # Errors
    /// [`crate::LabError::Failed`] with tshark's message.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
        let mut command = self.namespace().command("tshark");
        command = command.args(["-n", "-r", "-", "-Y", filter]).args(VERIFY);
        command = command.args(["-T", "fields", "-E", "separator=/t", "-E", "occurrence=f"]);
        for field in fields {
            command = command.args(["-e", field]);
        }
        let output = command.stdin(self.bytes()?).timeout(Duration::from_secs(60)).run()?.stdout;
        Ok(output.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// Numbers of the frames with a wrong checksum, in any layer.
    ///
    /// # Errors
    /// As [`Capture::fields`].
    pub fn bad_checksums(&self) -> Result<Vec<Vec<String>>> {
        self.fields(BAD_CHECKSUM, &["frame.number", "_ws.col.Info"])
    }
}
