//! Commands: read as lines, and told apart as far as data connections need it.

use std::net::SocketAddr;

use gridway_wire::time::Nanos;

use super::address::{Protocol, parse_eprt, parse_port};
use super::line::Line;
use super::refusal::Refusal;
use super::telnet::Telnet;
use super::{FtpError, LINE_LIMIT, LOWEST_PORT};

/// Longest name of a command, in bytes; the longest in use (XSHA256) has seven.
const MAX_NAME_LEN: usize = 16;
/// Longest command without its end, which is CRLF when it is passed on.
const TEXT_LIMIT: usize = LINE_LIMIT - 2;
const DELETE: u8 = 0x7f;

/// Takes lines out of what the client sends.
#[derive(Clone, Debug, Default)]
pub(super) struct CommandReader {
    line: Line,
    telnet: Telnet,
}

impl CommandReader {
    /// Consumes input until a line is complete: gives the line without its end. `None` when the input is used up.
    pub(super) fn next(&mut self, input: &mut &[u8], now: Nanos) -> Result<Option<&[u8]>, FtpError> {
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            let partial = self.line.partial();
            let follows_cr = partial.ends_with(b"\r");
            let Some(byte) = self.telnet.filter(*byte, partial.is_empty())? else { continue };
            match byte {
                b'\n' => {
                    let line = self.line.end();
                    return Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)));
                }
                _ if follows_cr => return Err(FtpError::CommandByte(b'\r')),
                byte if byte != b'\r' && (byte < b' ' || byte == DELETE) => {
                    return Err(FtpError::CommandByte(byte));
                }
                byte => {
                    let limit = TEXT_LIMIT + usize::from(byte == b'\r');
                    if !self.line.push(byte, limit, now) {
                        return Err(FtpError::CommandTooLong);
                    }
                }
            }
        }
        Ok(None)
    }

    pub(super) fn begun(&self) -> Option<Nanos> {
        self.line.begun()
    }

    pub(super) fn held(&self) -> usize {
        self.line.held()
    }
}

/// A command, as far as it concerns data connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// PORT or EPRT: the server is to connect there.
    Active(SocketAddr),
    /// PASV: the server is to listen, on IPv4.
    Pasv,
    /// EPSV, perhaps with a protocol: the server is to listen.
    Epsv(Option<Protocol>),
    /// EPSV ALL: nothing but EPSV from now on.
    EpsvAll,
    /// Anything else.
    Other,
}

impl Command {
    /// Reads a line without its end. Errs with the answer where the line cannot be passed on, whoever the client is.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Refusal> {
        let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (name, argument) = line.split_at(space);
        if !(1..=MAX_NAME_LEN).contains(&name.len()) || !name.iter().all(u8::is_ascii_alphanumeric) {
            return Err(Refusal::NoCommand);
        }
        let argument = argument.strip_prefix(b" ").unwrap_or_default().trim_ascii_end();
        match name.to_ascii_uppercase().as_slice() {
            b"PORT" => active(parse_port(argument).ok_or(Refusal::Syntax)?),
            b"EPRT" => active(parse_eprt(argument)?),
            b"PASV" if argument.is_empty() => Ok(Self::Pasv),
            b"PASV" => Err(Refusal::Syntax),
            b"EPSV" if argument.is_empty() => Ok(Self::Epsv(None)),
            b"EPSV" if argument.eq_ignore_ascii_case(b"ALL") => Ok(Self::EpsvAll),
            b"EPSV" => Ok(Self::Epsv(Some(Protocol::parse(argument)?))),
            b"AUTH" | b"ADAT" | b"PROT" | b"PBSZ" | b"CCC" | b"MIC" | b"CONF" | b"ENC" => Err(Refusal::Tls),
            b"LPRT" | b"LPSV" | b"SPSV" | b"CPSV" | b"SSCN" => Err(Refusal::NotFollowed),
            _ => Ok(Self::Other),
        }
    }

    /// Whether the server answers with a port to connect to.
    pub(super) fn is_passive(self) -> bool {
        matches!(self, Self::Pasv | Self::Epsv(_))
    }
}

fn active(endpoint: SocketAddr) -> Result<Command, Refusal> {
    if endpoint.port() < LOWEST_PORT { Err(Refusal::LowPort) } else { Ok(Command::Active(endpoint)) }
}
