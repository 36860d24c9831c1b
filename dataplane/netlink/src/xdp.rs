//! What an interface can do with XDP, as the kernel says (generic netlink, family `netdev`, Linux 6.3), and whether a
//! program is attached to it already.

use std::io;
use std::os::fd::AsFd;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable, Nla, NlaBuffer, NlasIterator, Parseable, ParseableParametrized,
};
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use netlink_packet_route::link::{LinkAttribute, LinkXdp, XdpAttached};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::NetlinkError;
use crate::requests::Requests;
use crate::wire::Datagram;

/// `NETDEV_CMD_DEV_GET` and its attributes (`linux/netdev.h`).
const DEV_GET: u8 = 1;
const IFINDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_*`.
const BASIC: u64 = 1;
const REDIRECT: u64 = 2;
const ZERO_COPY: u64 = 8;
/// The kernel answers while the request is sent; this is for a machine in trouble (milliseconds).
const PATIENCE: u16 = 5_000;

/// XDP on one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Xdp {
    /// What the driver says of itself; none before Linux 6.3.
    pub features: Option<XdpFeatures>,
    /// A program is attached.
    pub attached: bool,
}

/// What a driver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XdpFeatures {
    /// Programs run in the driver, and may redirect to AF_XDP sockets.
    pub native: bool,
    /// AF_XDP rings without copying.
    pub zero_copy: bool,
}

/// Asks about the interface of that name.
///
/// # Errors
/// [`NetlinkError::NoSuchInterface`]; others when the kernel does not answer.
pub fn xdp(interface: &str) -> Result<Xdp, NetlinkError> {
    let link = Requests::open()?.link_named(interface)?;
    let attached = link.attributes.iter().any(|attribute| {
        let LinkAttribute::Xdp(entries) = attribute else { return false };
        let attached = |entry: &LinkXdp| matches!(entry, LinkXdp::Attached(how) if *how != XdpAttached::None);
        entries.iter().any(attached)
    });
    let features = features(link.header.index)
        .map_err(|source| NetlinkError::Socket { action: "ask what the driver can do", source })?;
    Ok(Xdp { features, attached })
}

fn features(index: u32) -> io::Result<Option<XdpFeatures>> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let family = GenlCtrl {
        cmd: GenlCtrlCmd::GetFamily,
        nlas: vec![GenlCtrlAttrs::FamilyName(Device::family_name().to_owned())],
    };
    let Some(family) = ask(&socket, GenlMessage::from_payload(family))? else { return Ok(None) };
    let number = family.payload.nlas.iter().find_map(|nla| match nla {
        GenlCtrlAttrs::FamilyId(number) => Some(*number),
        _ => None,
    });
    let Some(number) = number else { return Ok(None) };
    let mut question =
        GenlMessage::from_payload(Device(vec![DefaultNla::new(IFINDEX, index.to_ne_bytes().to_vec())]));
    question.set_resolved_family_id(number);
    let Some(device) = ask(&socket, question)? else { return Ok(None) };
    Ok(device.payload.features())
}

/// Asks one question; none when the kernel knows neither it nor what it is about.
fn ask<F>(socket: &Socket, question: GenlMessage<F>) -> io::Result<Option<GenlMessage<F>>>
where
    GenlMessage<F>: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<GenlMessage<F>>>,
{
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut request = NetlinkMessage::new(header, question.into());
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut wanted = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    if poll(&mut wanted, PollTimeout::from(PATIENCE))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut datagram = Datagram::new();
    let Some(answer) = datagram.receive(socket)? else { return Ok(None) };
    let answer = NetlinkMessage::<GenlMessage<F>>::deserialize(answer);
    match answer.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?.payload {
        NetlinkPayload::InnerMessage(inner) => Ok(Some(inner)),
        _ => Ok(None),
    }
}

/// A question or answer about one device.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Device(Vec<DefaultNla>);

impl Device {
    fn features(&self) -> Option<XdpFeatures> {
        let nla = self.0.iter().find(|nla| nla.kind() == XDP_FEATURES)?;
        let mut bytes = [0; 8];
        (nla.value_len() == bytes.len()).then(|| nla.emit_value(&mut bytes))?;
        let bits = u64::from_ne_bytes(bytes);
        let native = bits & (BASIC | REDIRECT) == BASIC | REDIRECT;
        Some(XdpFeatures { native, zero_copy: native && bits & ZERO_COPY != 0 })
    }
}

impl GenlFamily for Device {
    fn family_name() -> &'static str {
        "netdev"
    }

    fn command(&self) -> u8 {
        DEV_GET
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Device {
    fn buffer_len(&self) -> usize {
        self.0.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.0.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Device {
    fn parse_with_param(buffer: &[u8], _: GenlHeader) -> Result<Self, DecodeError> {
        let nlas = NlasIterator::new(buffer).map(|nla: Result<NlaBuffer<_>, _>| DefaultNla::parse(&nla?));
        Ok(Self(nlas.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_says_what_it_can_and_nothing_is_attached() {
        let xdp = xdp("lo").unwrap();
        assert!(!xdp.attached);
        assert!(xdp.features.is_none_or(|features| !features.zero_copy), "{xdp:?}");
    }

    #[test]
    fn an_unknown_interface_is_an_error() {
        assert!(matches!(super::xdp("no-such-if0"), Err(NetlinkError::NoSuchInterface { .. })));
    }

    #[test]
    fn features_need_both_running_and_redirecting() {
        let device = |bits: u64| Device(vec![DefaultNla::new(XDP_FEATURES, bits.to_ne_bytes().to_vec())]);
        let features = |native, zero_copy| Some(XdpFeatures { native, zero_copy });
        assert_eq!(device(0).features(), features(false, false));
        assert_eq!(device(BASIC).features(), features(false, false));
        assert_eq!(device(BASIC | REDIRECT).features(), features(true, false));
        assert_eq!(device(BASIC | REDIRECT | ZERO_COPY).features(), features(true, true));
        assert_eq!(Device(Vec::new()).features(), None);
    }
}
