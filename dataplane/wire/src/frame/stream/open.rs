//! The first frame of a stream: who wants to reach what.

use std::net::SocketAddr;

use super::{StreamId, endpoint};
use crate::bytes::{put, put_u16, u16_at, u32_at};
use crate::frame::{FrameError, FrameType, MAX_NAME_LEN};

/// Longest name of a host (RFC 1035, 2.3.4).
const MAX_HOST_LEN: usize = 253;

/// How the bytes of a stream are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamProtocol {
    /// Those of a TCP connection.
    Tcp,
    /// UDP datagrams, each behind its length (`u16`).
    Udp,
    /// The control channel of FTP.
    Ftp,
    /// TFTP datagrams, each behind its length (`u16`).
    Tftp,
}

impl StreamProtocol {
    fn from_u8(number: u8) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Ftp, Self::Tftp].into_iter().find(|protocol| *protocol as u8 == number)
    }
}

/// What a stream leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamTarget<'a> {
    /// A service of the receiver, by name: 1 to 63 letters, digits, `.`, `-` and `_`, the first a letter or digit.
    Service(&'a str),
    /// A host of the receiver's ranges.
    Host {
        /// Address or name.
        host: &'a str,
        /// Port, not 0.
        port: u16,
    },
    /// A data connection of the FTP control stream `control`, opened beside the client, to a port that the server has
    /// announced.
    FtpPassive {
        /// The control stream, on the same connection.
        control: StreamId,
        /// The announced port.
        port: u16,
    },
    /// A data connection of the FTP control stream `control`, opened beside the server, to where the client listens.
    FtpActive {
        /// The control stream, on the same connection.
        control: StreamId,
    },
}

// Numbers of the targets.
const SERVICE: u8 = 0;
const HOST: u8 = 1;
const FTP_PASSIVE: u8 = 2;
const FTP_ACTIVE: u8 = 3;

/// The body of an open frame behind the id: protocol (`u8`), kind of target (`u8`), client, listener, target. Bytes
/// behind it are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamOpen<'a> {
    /// How the bytes are to be understood.
    pub protocol: StreamProtocol,
    /// Where the client is, as the opener sees it.
    pub client: Option<SocketAddr>,
    /// Where the client has found the opener.
    pub listener: Option<SocketAddr>,
    /// What it wants to reach.
    pub target: StreamTarget<'a>,
}

const PROTOCOL: usize = 0;
const KIND: usize = PROTOCOL + 1;
const CLIENT: usize = KIND + 1;

impl<'a> StreamOpen<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let truncated = FrameError::TruncatedBody { frame_type: FrameType::StreamOpen };
        let bad_name = FrameError::BadName { frame_type: FrameType::StreamOpen };
        let (fixed, rest) = bytes.split_at_checked(CLIENT).ok_or(truncated)?;
        let protocol = StreamProtocol::from_u8(fixed[PROTOCOL])
            .ok_or(FrameError::BadStreamProtocol { found: fixed[PROTOCOL] })?;
        let (client, rest) = endpoint::split(rest)?;
        let (listener, rest) = endpoint::split(rest)?;
        let port_at = |bytes: &[u8]| match bytes.first_chunk::<2>() {
            None => Err(truncated),
            Some(bytes) => match u16_at(bytes, 0) {
                0 => Err(FrameError::BadStreamTarget),
                port => Ok(port),
            },
        };
        let control_at = |bytes: &[u8]| match bytes.first_chunk::<4>() {
            None => Err(truncated),
            Some(bytes) => match u32_at(bytes, 0) {
                0 => Err(FrameError::BadStreamId),
                id => Ok(StreamId(id)),
            },
        };
        let target = match fixed[KIND] {
            SERVICE => {
                let (name, _extensions) = split_text(rest)?;
                StreamTarget::Service(Some(name).filter(|name| is_service(name)).ok_or(bad_name)?)
            }
            HOST => {
                let (host, rest) = split_text(rest)?;
                let host = Some(host).filter(|host| is_host(host)).ok_or(FrameError::BadStreamTarget)?;
                StreamTarget::Host { host, port: port_at(rest)? }
            }
            FTP_PASSIVE => StreamTarget::FtpPassive {
                control: control_at(rest)?,
                port: port_at(rest.get(size_of::<u32>()..).ok_or(truncated)?)?,
            },
            FTP_ACTIVE => StreamTarget::FtpActive { control: control_at(rest)? },
            found => return Err(FrameError::BadStreamTargetKind { found }),
        };
        Ok(Self { protocol, client, listener, target })
    }

    pub(super) fn len(&self) -> usize {
        CLIENT
            + endpoint::len(self.client)
            + endpoint::len(self.listener)
            + match self.target {
                StreamTarget::Service(name) => 1 + name.len(),
                StreamTarget::Host { host, .. } => 1 + host.len() + size_of::<u16>(),
                StreamTarget::FtpPassive { .. } => size_of::<u32>() + size_of::<u16>(),
                StreamTarget::FtpActive { .. } => size_of::<u32>(),
            }
    }

    /// Writes over `bytes`, whose length is [`Self::len`].
    pub(super) fn write(&self, bytes: &mut [u8]) {
        bytes[PROTOCOL] = self.protocol as u8;
        bytes[KIND] = match self.target {
            StreamTarget::Service(_) => SERVICE,
            StreamTarget::Host { .. } => HOST,
            StreamTarget::FtpPassive { .. } => FTP_PASSIVE,
            StreamTarget::FtpActive { .. } => FTP_ACTIVE,
        };
        let rest = endpoint::put(&mut bytes[CLIENT..], self.client);
        let rest = endpoint::put(rest, self.listener);
        match self.target {
            StreamTarget::Service(name) => put_text(rest, name),
            StreamTarget::Host { host, port } => {
                put_text(rest, host);
                put_u16(rest, 1 + host.len(), port);
            }
            StreamTarget::FtpPassive { control, port } => {
                put(rest, 0, control.0.to_be_bytes());
                put_u16(rest, size_of::<u32>(), port);
            }
            StreamTarget::FtpActive { control } => put(rest, 0, control.0.to_be_bytes()),
        }
    }
}

/// Reads a length byte and that much text. Gives the text and what follows it.
fn split_text(bytes: &[u8]) -> Result<(&str, &[u8]), FrameError> {
    let truncated = FrameError::TruncatedBody { frame_type: FrameType::StreamOpen };
    let (&length, rest) = bytes.split_first().ok_or(truncated)?;
    let (text, rest) = rest.split_at_checked(usize::from(length)).ok_or(truncated)?;
    Ok((std::str::from_utf8(text).map_err(|_| FrameError::BadStreamTarget)?, rest))
}

/// Writes a length byte and the text.
fn put_text(bytes: &mut [u8], text: &str) {
    bytes[0] = u8::try_from(text.len()).expect("names are validated, and shorter than 256 bytes");
    bytes[1..=text.len()].copy_from_slice(text.as_bytes());
}

/// Whether this can be the name of a service.
fn is_service(text: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// Whether this can be the name or the address of a host.
fn is_host(text: &str) -> bool {
    (1..=MAX_HOST_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte))
}
