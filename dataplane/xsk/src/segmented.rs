//! Long TCP packets that the kernel, or a NIC that can, cuts into segments: a packet socket with virtio-net headers.
//!
//! A ring carries frames of one segment each, and in copy mode the kernel sends them one by one. Here a whole run of
//! segments passes the kernel as one packet (generic segmentation offload). See `packet(7)`, `PACKET_VNET_HDR`; the
//! header is `struct virtio_net_hdr` of the virtio specification, 5.1.6.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};

/// Bytes that may wait in the kernel: as many as the frames of a transmit ring of 2,048.
const BUFFER: libc::c_int = 4 << 20;
const ON: libc::c_int = 1;

/// Bytes of a [`VirtioHeader`].
pub const VIRTIO_HEADER_LEN: usize = 10;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`
const NEEDS_CHECKSUM: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_TCPV4`, `VIRTIO_NET_HDR_GSO_TCPV6`
const TCP: [u8; 2] = [1, 4];
/// Where the checksum stands in a TCP header.
const TCP_CHECKSUM: u16 = 16;

/// How a TCP packet is cut, and where its checksums go. Offsets and lengths are in bytes from the Ethernet header on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioHeader {
    /// IPv6 instead of IPv4.
    pub v6: bool,
    /// Length of all headers: Ethernet, IP and TCP.
    pub headers_len: u16,
    /// Where the TCP header begins. Its checksum field holds the sum of the pseudo-header, not complemented.
    pub tcp_at: u16,
    /// Payload of each segment but the last.
    pub segment_len: u16,
}

impl VirtioHeader {
    /// Writes it.
    pub fn write(&self, to: &mut [u8; VIRTIO_HEADER_LEN]) {
        to[0] = NEEDS_CHECKSUM;
        to[1] = TCP[usize::from(self.v6)];
        let words = [self.headers_len, self.segment_len, self.tcp_at, TCP_CHECKSUM];
        for (place, word) in to[2..].chunks_exact_mut(2).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
    }
}

/// The filter program that lets nothing in, one instruction: return 0 (`linux/filter.h`).
fn nothing() -> libc::sock_fprog {
    static RETURN_NOTHING: libc::sock_filter =
        libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    // The kernel copies the program; it writes nothing.
    libc::sock_fprog { len: 1, filter: (&raw const RETURN_NOTHING).cast_mut() }
}

/// Sets an option to a value of the type that it takes.
fn set_option<T>(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    let (at, len) = (std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the kernel reads `len` bytes at `at`, which are those of `value`; what a filter program points to is static.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, at, len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A socket that sends packets with a [`VirtioHeader`] in front, and never receives.
#[derive(Debug)]
pub struct SegmentSocket {
    socket: OwnedFd,
}

impl SegmentSocket {
    /// Opens one on an interface in the network namespace of this thread. It takes `CAP_NET_RAW` and `CAP_NET_ADMIN`.
    ///
    /// # Errors
    /// What the kernel says: no such interface, not permitted.
    pub fn open(interface: &str) -> io::Result<Self> {
        // Protocol 0: it receives nothing.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        let index = name_to_index(&socket, interface)?;
        // Whoever gets hold of the socket later reads nothing either, wherever he binds it to.
        set_option(&socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &nothing())?;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_LOCK_FILTER, &ON)?;
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, &ON)?;
        // With the privilege to: what the system allows everybody holds four long packets.
        set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &BUFFER)?;
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: 0,
            sll_ifindex: index as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: the address is one of packet sockets, given with its own size, and outlives the call.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if bound != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { socket })
    }

    /// Sends a packet: [`VirtioHeader`] (zeros: nothing is to be cut), Ethernet header, IP packet. Never waits.
    ///
    /// # Errors
    /// What the kernel says: no room for more (`EAGAIN`, `ENOBUFS`), the interface is down.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        loop {
            match send(self.socket.as_fd(), packet, SendFlags::DONTWAIT) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
