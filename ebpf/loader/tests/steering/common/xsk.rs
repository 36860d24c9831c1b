//! A minimal AF_XDP socket (<https://docs.kernel.org/networking/af_xdp.html>): bound, so that a map takes it,
//! with empty rings, so that it never receives anything.

use std::{
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

const FRAMES: usize = 16;
const FRAME_SIZE: usize = 4096;

/// The socket and its packet memory.
pub(crate) struct Xsk {
    socket: OwnedFd,
    umem: *mut libc::c_void,
}

impl Xsk {
    /// Binds to one queue, in copy mode.
    pub(crate) fn bind(ifindex: u32, queue: u32) -> Self {
        // SAFETY: an anonymous mapping touches no memory that exists.
        let umem = unsafe {
            libc::mmap(
                ptr::null_mut(),
                FRAMES * FRAME_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(umem, libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
        // SAFETY: socket(2) takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        assert!(fd >= 0, "AF_XDP socket: {}", io::Error::last_os_error());
        // SAFETY: the descriptor is open and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let xsk = Self { socket, umem };

        // SAFETY: `xdp_umem_reg` is plain data of which all zeroes is a value.
        let mut registration: libc::xdp_umem_reg = unsafe { mem::zeroed() };
        registration.addr = umem.expose_provenance() as u64;
        registration.len = (FRAMES * FRAME_SIZE) as u64;
        registration.chunk_size = FRAME_SIZE as u32;
        xsk.set(libc::XDP_UMEM_REG, &registration);
        let entries = FRAMES as u32;
        for ring in [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_RX_RING] {
            xsk.set(ring, &entries);
        }

        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: libc::XDP_COPY,
            sxdp_ifindex: ifindex,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        // SAFETY: the address is valid for reads of its size during the call.
        let result = unsafe {
            libc::bind(
                xsk.socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_xdp>() as libc::socklen_t,
            )
        };
        assert_eq!(result, 0, "bind to queue {queue} of {ifindex}: {}", io::Error::last_os_error());
        xsk
    }

    fn set<T>(&self, option: libc::c_int, value: &T) {
        // SAFETY: the value is valid for reads of its size during the call.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_XDP,
                option,
                ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        assert_eq!(result, 0, "AF_XDP option {option}: {}", io::Error::last_os_error());
    }
}

impl AsRawFd for Xsk {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Drop for Xsk {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours; the kernel holds its own reference to the pages until the socket is
        // closed.
        unsafe { libc::munmap(self.umem, FRAMES * FRAME_SIZE) };
    }
}
