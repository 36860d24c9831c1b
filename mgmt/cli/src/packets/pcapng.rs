//! Captured packets as pcapng (draft-ietf-opsawg-pcapng).

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use gridway_control::{CapturePoint, CapturedPacket, Side};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, PcapError};

use crate::error::CliError;

/// The crate writes timestamps in nanoseconds, whatever the option of the interface says.
const NANOSECONDS: u8 = 9;
/// `epb_flags`: the packet came in, or went out.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// A file under way. Packets from local hosts and from the overlay are on interfaces of their own.
pub(super) struct Pcapng<W: Write> {
    writer: PcapNgWriter<Counting<W>>,
}

impl<W: Write> Pcapng<W> {
    /// Begins a file of what `node` sees at `point`, at most `snap` bytes of each packet.
    pub(super) fn new(out: W, node: &str, point: CapturePoint, snap: u32) -> Result<Self, CliError> {
        let program = concat!("gridway ", env!("CARGO_PKG_VERSION"));
        let header = SectionHeaderBlock {
            options: vec![SectionHeaderOption::UserApplication(Cow::Borrowed(program))],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(Counting { out, bytes: 0 }, header)?;
        for side in [Side::Local, Side::Overlay] {
            writer.write_pcapng_block(interface(node, point, side, snap))?;
        }
        Ok(Self { writer })
    }

    /// Adds a packet.
    pub(super) fn write(&mut self, packet: &CapturedPacket) -> Result<(), CliError> {
        let bytes = from_hexadecimal(&packet.bytes).ok_or(CliError::NotHexadecimal)?;
        let (interface_id, flags) = match packet.from {
            Side::Local => (0, OUTBOUND),
            Side::Overlay => (1, INBOUND),
        };
        let comment = Cow::Borrowed(packet.comment.as_str());
        self.writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id,
            timestamp: Duration::from_micros(packet.at_us),
            original_len: packet.length,
            data: Cow::Owned(bytes),
            options: vec![EnhancedPacketOption::Comment(comment), EnhancedPacketOption::Flags(flags)],
        })?;
        Ok(())
    }

    /// Bytes written so far.
    pub(super) fn len(&self) -> u64 {
        self.writer.get_ref().bytes
    }

    /// Has what is held back written.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        self.writer.get_mut().flush().map_err(PcapError::IoError)?;
        Ok(())
    }
}

/// `gw-a:virtual outbound`: packets on their way from local hosts to the overlay, in virtual addresses.
fn interface(node: &str, point: CapturePoint, side: Side, snap: u32) -> InterfaceDescriptionBlock<'static> {
    let (addresses, at) = match point {
        CapturePoint::Local => ("local", "the data NIC, in local addresses"),
        CapturePoint::Virtual => ("virtual", "the tunnel, in virtual addresses"),
    };
    let (way, described) = match side {
        Side::Local => ("outbound", "from local hosts to the overlay"),
        Side::Overlay => ("inbound", "from the overlay to local hosts"),
    };
    InterfaceDescriptionBlock {
        linktype: DataLink::RAW,
        snaplen: snap,
        options: vec![
            InterfaceDescriptionOption::IfName(format!("{node}:{addresses} {way}").into()),
            InterfaceDescriptionOption::IfDescription(format!("Packets {described}, at {at}").into()),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ],
    }
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Counts what is written.
struct Counting<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_whole_or_not_at_all() {
        assert_eq!(from_hexadecimal("45fF00"), Some(vec![0x45, 0xff, 0]));
        assert_eq!(from_hexadecimal(""), Some(Vec::new()));
        for bad in ["4", "4g", "0x45", "é"] {
            assert_eq!(from_hexadecimal(bad), None, "{bad}");
        }
    }
}
