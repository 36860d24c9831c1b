//! TFTP as far as a proxy needs it: which datagrams begin a transfer, and from which port the server answers
//! (RFC 1350, options RFC 2347). Datagrams are carried as they are.

use std::net::{IpAddr, SocketAddr};

/// Longest request (RFC 2347, "Packet Formats"), in bytes.
pub const MAX_REQUEST_LEN: usize = 512;

/// What a datagram is, by its first two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// 1, RRQ: the client wants to read a file.
    Read,
    /// 2, WRQ: the client wants to write a file.
    Write,
    /// 3, DATA.
    Data,
    /// 4, ACK.
    Acknowledgement,
    /// 5, ERROR.
    Error,
    /// 6, OACK (RFC 2347).
    OptionAcknowledgement,
}

impl Opcode {
    /// The opcode of a datagram, if it has a known one.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<Self> {
        Some(match datagram {
            [0, 1, ..] => Self::Read,
            [0, 2, ..] => Self::Write,
            [0, 3, ..] => Self::Data,
            [0, 4, ..] => Self::Acknowledgement,
            [0, 5, ..] => Self::Error,
            [0, 6, ..] => Self::OptionAcknowledgement,
            _ => return None,
        })
    }
}

/// A request: the datagram that begins a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Whether the client writes; otherwise it reads.
    pub writes: bool,
    /// The name as sent: in the protocol it is ASCII, in the field it is what the server makes of it.
    pub filename: &'a [u8],
    /// How many options follow.
    pub options: usize,
}

/// The request that a datagram is, or `None` where it is something else or has a wrong shape: too long, no file name,
/// an unknown mode, an option without a value, bytes without their final zero.
#[must_use]
pub fn is_request(datagram: &[u8]) -> Option<Request<'_>> {
    let writes = match Opcode::of(datagram)? {
        Opcode::Read => false,
        Opcode::Write => true,
        _ => return None,
    };
    if datagram.len() > MAX_REQUEST_LEN {
        return None;
    }
    let mut strings = datagram[2..].strip_suffix(&[0])?.split(|byte| *byte == 0);
    let filename = strings.next().filter(|name| !name.is_empty())?;
    let mode = strings.next()?;
    if ![&b"octet"[..], b"netascii", b"mail"].iter().any(|known| mode.eq_ignore_ascii_case(known)) {
        return None;
    }
    let mut options = 0;
    while let Some(name) = strings.next() {
        let value = strings.next()?;
        if name.is_empty() || value.is_empty() {
            return None;
        }
        options += 1;
    }
    Some(Request { writes, filename, options })
}

/// One transfer as the node beside the server sees it. The server answers a request from a port that it chooses for this
/// transfer, its transfer identifier; from then on that port alone takes part (RFC 1350, section 4).
#[derive(Clone, Debug)]
pub struct Transfer {
    target: IpAddr,
    server: Option<SocketAddr>,
}

impl Transfer {
    /// A transfer whose request goes to a server at this address.
    #[must_use]
    pub fn new(target: IpAddr) -> Self {
        Self { target: target.to_canonical(), server: None }
    }

    /// Whether a datagram from there belongs to the transfer. The first one from the target's address, whatever its port,
    /// settles the port.
    pub fn accepts(&mut self, from: SocketAddr) -> bool {
        match self.server {
            Some(server) => server == from,
            None => {
                let is_answer = from.ip().to_canonical() == self.target && from.port() != 0;
                if is_answer {
                    self.server = Some(from);
                }
                is_answer
            }
        }
    }

    /// Where the client's further datagrams go, once the server has answered.
    #[must_use]
    pub fn server(&self) -> Option<SocketAddr> {
        self.server
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_told_from_the_rest() {
        let request = |writes, filename, options| Some(Request { writes, filename, options });
        for (datagram, wanted) in [
            (&b"\0\x01boot/pxelinux.0\0octet\0"[..], request(false, &b"boot/pxelinux.0"[..], 0)),
            (b"\0\x02up\0NetASCII\0", request(true, b"up", 0)),
            (b"\0\x02up\0mail\0", request(true, b"up", 0)),
            (b"\0\x01f\0octet\0blksize\x001428\0tsize\x000\0", request(false, b"f", 2)),
            (b"\0\x03\0\x01data", None),
            (b"\0\x04\0\x01", None),
            (b"\0\x05\0\x01File not found\0", None),
            (b"\0\x06blksize\x001428\0", None),
            (b"\0\x01f\0octet", None),
            (b"\0\x01f\0", None),
            (b"\0\x01\0octet\0", None),
            (b"\0\x01f\0binary\0", None),
            (b"\0\x01f\0octet\0blksize\0", None),
            (b"\0\x01f\0octet\0blksize\0\0", None),
            (b"\0\x01f\0octet\0\0", None),
            (b"\0\x01", None),
            (b"\x01\x01f\0octet\0", None),
            (b"", None),
        ] {
            assert_eq!(is_request(datagram), wanted, "{}", datagram.escape_ascii());
        }
    }

    #[test]
    fn a_request_has_at_most_512_bytes() {
        let request = |name: usize| [b"\0\x01", &vec![b'a'; name][..], b"\0octet\0"].concat();
        assert!(is_request(&request(503)).is_some());
        assert!(is_request(&request(504)).is_none());
    }

    #[test]
    fn opcodes_are_known_by_number() {
        assert_eq!(Opcode::of(&[0, 3, 0, 1]), Some(Opcode::Data));
        assert_eq!(Opcode::of(&[0, 4, 0, 1]), Some(Opcode::Acknowledgement));
        assert_eq!(Opcode::of(&[0, 5, 0, 1]), Some(Opcode::Error));
        assert_eq!(Opcode::of(&[0, 6]), Some(Opcode::OptionAcknowledgement));
        assert_eq!([Opcode::of(&[0, 0]), Opcode::of(&[0, 7]), Opcode::of(&[0])], [None; 3]);
    }

    #[test]
    fn the_first_answer_settles_the_port() {
        let mut transfer = Transfer::new([10, 2, 0, 2].into());
        assert!(!transfer.accepts("10.2.0.3:40000".parse().unwrap()));
        assert_eq!(transfer.server(), None);
        assert!(transfer.accepts("10.2.0.2:40000".parse().unwrap()));
        assert!(!transfer.accepts("10.2.0.2:40001".parse().unwrap()));
        assert!(!transfer.accepts("10.2.0.3:40000".parse().unwrap()));
        assert!(transfer.accepts("10.2.0.2:40000".parse().unwrap()));
        assert_eq!(transfer.server(), Some("10.2.0.2:40000".parse().unwrap()));
    }

    #[test]
    fn a_mapped_target_is_the_ipv4_address_that_it_is() {
        let mut transfer = Transfer::new("::ffff:10.2.0.2".parse().unwrap());
        assert!(transfer.accepts("10.2.0.2:40000".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn what_is_a_request_stays_one_with_another_option(
            name in "[a-z/.]{1,80}", options in 0_usize..9, writes: bool
        ) {
            let mut datagram = vec![0, 1 + u8::from(writes)];
            datagram.extend(name.as_bytes());
            datagram.extend(b"\0octet\0");
            for _ in 0..options {
                datagram.extend(b"windowsize\x0016\0");
            }
            let wanted = Request { writes, filename: name.as_bytes(), options };
            prop_assert_eq!(is_request(&datagram), Some(wanted));
        }

        #[test]
        fn any_datagram_is_judged(mut datagram in proptest::collection::vec(any::<u8>(), 0..600), opcode in 0_u8..8) {
            let _ = is_request(&datagram);
            if let [first, second, ..] = &mut datagram[..] {
                (*first, *second) = (0, opcode);
            }
            prop_assert!(is_request(&datagram).is_none() || datagram.len() <= MAX_REQUEST_LEN);
        }
    }
}
