//! Interface ioctls (netdevice(7)).

use std::{
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

/// An interface that questions are asked about, by its name: it may go, and another of that name may come.
#[derive(Debug)]
pub struct Interface {
    socket: OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Interface {
    /// None when no interface can have that name.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn named(interface: &str) -> io::Result<Option<Self>> {
        let bytes = interface.as_bytes();
        if bytes.is_empty() || bytes.len() >= libc::IFNAMSIZ || bytes.iter().any(|&b| b == 0 || b == b'/') {
            return Ok(None);
        }
        let mut name = [0; libc::IFNAMSIZ];
        for (to, from) in name.iter_mut().zip(bytes) {
            *to = from.cast_signed();
        }
        // SAFETY: socket(2) takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Some(Self { socket, name }))
    }

    /// Its index; `ENODEV` when there is no such interface.
    ///
    /// # Errors
    /// Those of netdevice(7).
    pub fn index(&self) -> io::Result<u32> {
        let request = self.ask(libc::SIOCGIFINDEX)?;
        // SAFETY: SIOCGIFINDEX fills this member, and any bits are an integer.
        let index = unsafe { request.ifr_ifru.ifru_ifindex };
        Ok(index.cast_unsigned())
    }

    /// Its MTU in bytes.
    ///
    /// # Errors
    /// As [`Self::index`].
    pub fn mtu(&self) -> io::Result<u32> {
        let request = self.ask(libc::SIOCGIFMTU)?;
        // SAFETY: SIOCGIFMTU fills this member, and any bits are an integer.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        Ok(mtu.cast_unsigned())
    }

    /// Hardware type (`ARPHRD_*`) and the first six bytes of the address.
    ///
    /// # Errors
    /// As [`Self::index`].
    pub fn hardware_address(&self) -> io::Result<(u16, [u8; 6])> {
        let request = self.ask(libc::SIOCGIFHWADDR)?;
        // SAFETY: SIOCGIFHWADDR fills this member, and any bits are a sockaddr.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        let [a, b, c, d, e, f, ..] = address.sa_data.map(libc::c_char::cast_unsigned);
        Ok((address.sa_family, [a, b, c, d, e, f]))
    }

    /// An ethtool command. `words` is a structure of `linux/ethtool.h` as 32-bit words, long enough for what
    /// the command writes, which is the caller's promise.
    ///
    /// # Safety
    /// The kernel writes as many bytes behind `words` as the command and its size fields say.
    pub(crate) unsafe fn ethtool(&self, words: &mut [u32]) -> io::Result<i32> {
        let mut request = self.request();
        request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
        self.ioctl(libc::SIOCETHTOOL, &mut request)
    }

    fn ask(&self, code: libc::c_ulong) -> io::Result<libc::ifreq> {
        let mut request = self.request();
        self.ioctl(code, &mut request)?;
        Ok(request)
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: `ifreq` is plain data of which all zeroes is a value.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        request.ifr_name = self.name;
        request
    }

    fn ioctl(&self, code: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<i32> {
        // SAFETY: the interface ioctls used here read and write one `ifreq`; for SIOCETHTOOL `Self::ethtool`
        // passes the duty about its buffer on.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), code, std::ptr::from_mut(request)) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }
}
