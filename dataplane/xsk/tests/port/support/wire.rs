//! The far end of the cable: sends and receives raw Ethernet frames.

use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// An `AF_PACKET` socket on one interface.
pub(crate) struct Wire {
    socket: Socket,
}

impl Wire {
    /// Opens the interface in the namespace of this thread.
    pub(crate) fn open(interface: &str) -> Self {
        let every = (libc::ETH_P_ALL as u16).to_be();
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(every)))).unwrap();
        let index = if_nametoindex(interface).unwrap();
        // SAFETY: the storage is large enough for any address; the closure fills in a whole `sockaddr_ll`.
        let ((), address) = unsafe {
            SockAddr::try_init(|storage, len| {
                let address: *mut libc::sockaddr_ll = storage.cast();
                address.write(libc::sockaddr_ll {
                    sll_family: libc::AF_PACKET as u16,
                    sll_protocol: every,
                    sll_ifindex: index as i32,
                    sll_hatype: 0,
                    sll_pkttype: 0,
                    sll_halen: 0,
                    sll_addr: [0; 8],
                });
                *len = size_of::<libc::sockaddr_ll>() as u32;
                Ok(())
            })
        }
        .unwrap();
        socket.bind(&address).unwrap();
        // By default it ends at about 250 packets.
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 64 << 20).unwrap();
        Self { socket }
    }

    /// Sends one packet.
    pub(crate) fn send(&self, packet: &[u8]) {
        assert_eq!(self.socket.send(packet).unwrap(), packet.len());
    }

    /// The next packet, waited for up to a second.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        self.read(0)
    }

    /// The next packet that is there already.
    pub(crate) fn poll(&self) -> Option<Vec<u8>> {
        self.read(libc::MSG_DONTWAIT)
    }

    fn read(&self, flags: i32) -> Option<Vec<u8>> {
        let mut packet = vec![MaybeUninit::uninit(); 4096];
        match self.socket.recv_with_flags(&mut packet, flags) {
            Ok(len) => {
                // SAFETY: the kernel wrote this many bytes.
                Some(packet[..len].iter().map(|byte| unsafe { byte.assume_init() }).collect())
            }
            // `NetworkDown` is told once after the interface went down.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NetworkDown) => None,
            Err(error) => panic!("{error}"),
        }
    }
}
