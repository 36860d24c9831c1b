//! Addresses with ports: family (`u8`: 0 none, 4, 6), port (`u16`), address (0, 4 or 16 bytes).

use std::net::{IpAddr, SocketAddr};

use crate::bytes::{ipv4_at, ipv6_at, put_ip, put_u16, u16_at};
use crate::frame::{FrameError, FrameType};

const FAMILY: usize = 0;
const PORT: usize = FAMILY + 1;
const ADDRESS: usize = PORT + size_of::<u16>();
const V4: u8 = 4;
const V6: u8 = 6;

/// Reads an endpoint; gives it and what follows it.
pub(super) fn split(bytes: &[u8]) -> Result<(Option<SocketAddr>, &[u8]), FrameError> {
    let truncated = FrameError::TruncatedBody { frame_type: FrameType::StreamOpen };
    let length = match bytes.get(FAMILY) {
        None => return Err(truncated),
        Some(0) => 0,
        Some(&V4) => 4,
        Some(&V6) => 16,
        Some(&found) => return Err(FrameError::BadAddressFamily { found }),
    };
    let (endpoint, rest) = bytes.split_at_checked(ADDRESS + length).ok_or(truncated)?;
    let port = u16_at(endpoint, PORT);
    let address = match length {
        0 => return Ok((None, rest)),
        4 => IpAddr::V4(ipv4_at(endpoint, ADDRESS)),
        _ => IpAddr::V6(ipv6_at(endpoint, ADDRESS)),
    };
    Ok((Some(SocketAddr::new(address, port)), rest))
}

/// Bytes that an endpoint takes.
pub(super) fn len(endpoint: Option<SocketAddr>) -> usize {
    ADDRESS
        + match endpoint {
            None => 0,
            Some(SocketAddr::V4(_)) => 4,
            Some(SocketAddr::V6(_)) => 16,
        }
}

/// Writes an endpoint to the start of `bytes`; gives what follows it.
pub(super) fn put(bytes: &mut [u8], endpoint: Option<SocketAddr>) -> &mut [u8] {
    let (own, rest) = bytes.split_at_mut(len(endpoint));
    own[FAMILY] = match endpoint {
        None => 0,
        Some(SocketAddr::V4(_)) => V4,
        Some(SocketAddr::V6(_)) => V6,
    };
    put_u16(own, PORT, endpoint.map_or(0, |endpoint| endpoint.port()));
    if let Some(endpoint) = endpoint {
        put_ip(own, ADDRESS, endpoint.ip());
    }
    rest
}
