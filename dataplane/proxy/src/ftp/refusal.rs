//! Replies that are made here, where a command is not passed on.

use super::address::Protocol;

/// Why a command is answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The line does not begin with a command.
    NoCommand,
    /// The argument has the wrong form.
    Syntax,
    /// FTPS (RFC 2228, RFC 4217).
    Tls,
    /// Forms of address that are not followed (RFC 1639 and inventions).
    NotFollowed,
    /// A network protocol that has no number in RFC 2428.
    UnknownProtocol,
    /// Another network protocol than the control connection's, which is this.
    OtherProtocol(Protocol),
    /// A 227 cannot hold an IPv6 address.
    PasvOverIpv6,
    /// The data connection would go to someone else.
    ForeignAddress,
    /// The data connection would go to a port below 1024.
    LowPort,
    /// EPSV ALL is in force (RFC 2428, section 4).
    EpsvAll,
    /// No listener could be opened.
    NoListener,
}

impl Refusal {
    /// The reply, with its end of line.
    pub(super) fn reply(self) -> &'static [u8] {
        match self {
            Self::NoCommand => b"500 Syntax error, command unrecognized.\r\n",
            Self::Syntax => b"501 Syntax error in parameters or arguments.\r\n",
            Self::Tls => b"502 TLS is not supported through this connector; the tunnel encrypts.\r\n",
            Self::NotFollowed => {
                b"502 Not supported through this connector; use PASV, EPSV, PORT or EPRT.\r\n"
            }
            Self::UnknownProtocol => b"522 Network protocol not supported, use (1,2).\r\n",
            Self::OtherProtocol(Protocol::Ipv4) => b"522 Network protocol not supported, use (1).\r\n",
            Self::OtherProtocol(Protocol::Ipv6) => b"522 Network protocol not supported, use (2).\r\n",
            Self::PasvOverIpv6 => b"502 PASV is for IPv4 only; use EPSV.\r\n",
            Self::ForeignAddress => b"504 Data connections go to the client's own address only.\r\n",
            Self::LowPort => b"504 Data connections go to ports from 1024 on only.\r\n",
            Self::EpsvAll => b"501 Not allowed after EPSV ALL.\r\n",
            Self::NoListener => b"425 Can't open data connection.\r\n",
        }
    }
}
