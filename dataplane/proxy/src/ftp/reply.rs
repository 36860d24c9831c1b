//! Replies: lines with a code, over several lines where the code is followed by a hyphen (RFC 959, 4.2).

use gridway_wire::time::Nanos;

use super::address::{port_of_227, port_of_229};
use super::line::Line;
use super::{FtpError, LINE_LIMIT, LOWEST_PORT};

/// One line of a reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyLine<'a> {
    /// The reply's code.
    pub(super) code: u16,
    /// Whether the reply ends with this line.
    pub(super) is_last: bool,
    /// The line as it came, with its end.
    pub(super) raw: &'a [u8],
}

impl ReplyLine<'_> {
    /// Whether the command that is answered is still going on.
    pub(super) fn is_preliminary(self) -> bool {
        self.code < 200
    }

    /// Whether the command that is answered has failed.
    pub(super) fn is_negative(self) -> bool {
        self.code >= 400
    }

    /// Whether this is a reply to PASV, LPSV or EPSV that names a port.
    pub(super) fn is_passive(self) -> bool {
        matches!(self.code, 227..=229)
    }

    /// The port that a passive reply's last line names.
    pub(super) fn passive_port(self) -> Result<u16, FtpError> {
        let text = self.raw.get(3..).unwrap_or_default();
        let port = match self.code {
            227 => port_of_227(text),
            229 => port_of_229(text),
            _ => None,
        };
        match port {
            Some(port) if port < LOWEST_PORT => Err(FtpError::PassivePort(port)),
            Some(port) => Ok(port),
            None => Err(FtpError::NoPassivePort(self.code)),
        }
    }
}

/// Takes lines out of what the server sends.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplyReader {
    line: Line,
    /// The code of the reply whose last line has not come yet.
    open: Option<[u8; 3]>,
}

impl ReplyReader {
    /// Consumes input until a line is complete. `None` when the input is used up.
    pub(super) fn next(&mut self, input: &mut &[u8], now: Nanos) -> Result<Option<ReplyLine<'_>>, FtpError> {
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            if !self.line.push(*byte, LINE_LIMIT, now) {
                return Err(FtpError::ReplyTooLong);
            }
            if *byte == b'\n' {
                let raw = self.line.end();
                let (code, is_last) = parse(raw, self.open)?;
                self.open = (!is_last).then_some(code);
                let code = code.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
                return Ok(Some(ReplyLine { code, is_last, raw }));
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

/// The code of the reply that a line belongs to, three digits, and whether the reply ends with it. Lines may end with
/// LF, as banners do, and with several CR, as banners from files do.
fn parse(raw: &[u8], open: Option<[u8; 3]>) -> Result<([u8; 3], bool), FtpError> {
    let mut line = raw.strip_suffix(b"\n").unwrap_or(raw);
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    if let Some(byte) = line.iter().find(|byte| matches!(byte, 0 | b'\r')) {
        return Err(FtpError::ReplyByte(*byte));
    }
    match (open, line.split_first_chunk::<3>()) {
        (Some(code), Some((found, [] | [b' ', ..]))) if *found == code => Ok((code, true)),
        (Some(code), _) => Ok((code, false)),
        (None, Some((code @ [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'], [] | [b' ', ..]))) => Ok((*code, true)),
        (None, Some((code @ [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'], [b'-', ..]))) => Ok((*code, false)),
        (None, _) => {
            let mut beginning = [0; 4];
            beginning.iter_mut().zip(line).for_each(|(to, from)| *to = *from);
            Err(FtpError::NotAReply(beginning))
        }
    }
}
