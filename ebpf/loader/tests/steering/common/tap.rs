//! A TAP device (<https://docs.kernel.org/networking/tuntap.html>) as data NIC: what is written to it arrives from
//! its wire, with the layout of the kernel's buffer as the writer wants it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::fd::AsRawFd,
};

use super::netns::{DATA, MAC, sh};

/// Frames shorter than a page are laid into one piece, whatever the header says.
pub(crate) const MIN_SPLIT: usize = 4096;

/// `struct virtio_net_hdr` of linux/virtio_net.h.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    /// Bytes that are laid into the linear part.
    pub(crate) linear: u16,
    /// Payload of a TCP segment over IPv4, if the frame is many in one.
    pub(crate) segment: Option<u16>,
}

/// The device, which is gone when this is dropped.
pub(crate) struct Tap(File);

impl Tap {
    /// Makes it in the namespace of the calling thread, with the name and the MAC of the data end.
    pub(crate) fn new() -> Self {
        let tap = OpenOptions::new().read(true).write(true).open("/dev/net/tun").expect("/dev/net/tun");
        // SAFETY: `ifreq` is plain data of which all zeroes is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(DATA.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
        // SAFETY: the kernel reads and writes the request, which outlives the call.
        let result = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        assert_eq!(result, 0, "TUNSETIFF: {}", io::Error::last_os_error());
        let mac = MAC.map(|byte| format!("{byte:02x}")).join(":");
        sh(&format!("sysctl -qw net.ipv6.conf.{DATA}.disable_ipv6=1"));
        sh(&format!("ip link set {DATA} address {mac} && ip link set {DATA} up"));
        Self(tap)
    }

    /// A frame arrives.
    pub(crate) fn receive(&mut self, frame: &[u8], layout: Layout) {
        const TCPV4: u8 = 1;
        const NEEDS_CHECKSUM: u8 = 1;
        const CHECKSUM_START: u16 = 34;
        const CHECKSUM_OFFSET: u16 = 16;
        let (flags, kind, start, offset) = match layout.segment {
            Some(_) => (NEEDS_CHECKSUM, TCPV4, CHECKSUM_START, CHECKSUM_OFFSET),
            None => (0, 0, 0, 0),
        };
        let fields = [layout.linear, layout.segment.unwrap_or(0), start, offset];
        let mut packet = vec![flags, kind];
        packet.extend(fields.iter().flat_map(|field| field.to_ne_bytes()));
        packet.extend(frame);
        let written = self.0.write(&packet).unwrap_or_else(|error| panic!("{layout:?}: {error}"));
        assert_eq!(written, packet.len(), "a frame is written whole");
    }
}
