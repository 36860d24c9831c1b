//! Addresses and ports in commands and replies: the host-port of RFC 959, the forms of RFC 2428.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::refusal::Refusal;

/// A network protocol by its number in RFC 2428.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// 1.
    Ipv4,
    /// 2.
    Ipv6,
}

impl Protocol {
    /// The protocol of an address that is not an IPv4-mapped one.
    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    pub(super) fn parse(number: &[u8]) -> Result<Self, Refusal> {
        match number {
            b"1" => Ok(Self::Ipv4),
            b"2" => Ok(Self::Ipv6),
            number if decimal(number).is_some() => Err(Refusal::UnknownProtocol),
            _ => Err(Refusal::Syntax),
        }
    }
}

/// Six numbers up to 255 and commas between, `h1,h2,h3,h4,p1,p2`: PORT's argument.
pub(super) fn parse_port(argument: &[u8]) -> Option<SocketAddr> {
    let mut numbers = [0_u8; 6];
    let mut fields = argument.split(|byte| *byte == b',');
    for number in &mut numbers {
        let field = fields.next().filter(|field| field.len() <= 3)?;
        *number = decimal(field).and_then(|value| u8::try_from(value).ok())?;
    }
    if fields.next().is_some() {
        return None;
    }
    let [a, b, c, d, high, low] = numbers;
    Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
}

/// EPRT's argument, `|protocol|address|port|` with any delimiter.
pub(super) fn parse_eprt(argument: &[u8]) -> Result<SocketAddr, Refusal> {
    let delimiter = argument.first().filter(|byte| byte.is_ascii_graphic()).ok_or(Refusal::Syntax)?;
    let mut fields = argument.split(|byte| byte == delimiter).skip(1);
    let mut field = || fields.next().ok_or(Refusal::Syntax);
    let (protocol, address, port, rest) = (field()?, field()?, field()?, field()?);
    if !rest.is_empty() || field().is_ok() {
        return Err(Refusal::Syntax);
    }
    let protocol = Protocol::parse(protocol)?;
    let address = str::from_utf8(address).map_err(|_| Refusal::Syntax)?;
    let address = match protocol {
        Protocol::Ipv4 => address.parse::<Ipv4Addr>().map(IpAddr::V4),
        Protocol::Ipv6 => address.parse::<Ipv6Addr>().map(IpAddr::V6),
    };
    match (address, decimal(port)) {
        (Ok(address), Some(port)) => Ok(SocketAddr::new(address, port)),
        _ => Err(Refusal::Syntax),
    }
}

/// PORT or EPRT for a listener, with its end of line.
pub(super) fn active_command(listener: SocketAddr) -> String {
    match listener.ip().to_canonical() {
        IpAddr::V4(address) => format!("PORT {}\r\n", host_port_text(address, listener.port())),
        IpAddr::V6(address) => format!("EPRT |2|{address}|{}|\r\n", listener.port()),
    }
}

/// The reply to PASV, with its end of line.
pub(super) fn pasv_reply(address: Ipv4Addr, port: u16) -> String {
    format!("227 Entering Passive Mode ({}).\r\n", host_port_text(address, port))
}

/// The reply to EPSV, with its end of line.
pub(super) fn epsv_reply(port: u16) -> String {
    format!("229 Entering Extended Passive Mode (|||{port}|)\r\n")
}

/// The port in a 227. Servers write the six numbers with and without brackets, so they are searched for (RFC 1123,
/// 4.1.2.6). The address is not looked at.
pub(super) fn port_of_227(text: &[u8]) -> Option<u16> {
    text.split(|byte| !byte.is_ascii_digit() && *byte != b',')
        .find_map(parse_port)
        .map(|endpoint| endpoint.port())
}

/// The port in a 229, `(|||port|)` with any delimiter.
pub(super) fn port_of_229(text: &[u8]) -> Option<u16> {
    let opening = text.iter().position(|byte| *byte == b'(')?;
    let [delimiter, second, third, rest @ ..] = &text[opening + 1..] else { return None };
    if !delimiter.is_ascii_graphic() || [second, third] != [delimiter; 2] {
        return None;
    }
    let (digits, rest) = rest.split_at(rest.iter().position(|byte| byte == delimiter)?);
    if rest.get(1) == Some(&b')') { decimal(digits) } else { None }
}

fn host_port_text(address: Ipv4Addr, port: u16) -> String {
    let ([a, b, c, d], [high, low]) = (address.octets(), port.to_be_bytes());
    format!("{a},{b},{c},{d},{high},{low}")
}

/// A number of nothing but up to five digits.
fn decimal(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_takes_six_numbers_and_nothing_else() {
        assert_eq!(parse_port(b"10,1,0,2,195,80"), Some("10.1.0.2:50000".parse().unwrap()));
        for wrong in [
            "",
            "10,1,0,2,195",
            "10,1,0,2,195,80,1",
            "10,1,0,256,195,80",
            "10,1,0,2,195,80 ",
            " 10,1,0,2,195,80",
            "10.1.0.2,195,80",
            "10,1,0,+2,195,80",
            "10,1,0,,195,80",
            "10,1,0,2,195,0x50",
            "10,1,0,2,195,0080",
        ] {
            assert_eq!(parse_port(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn eprt_takes_either_protocol_with_any_delimiter() {
        for (argument, wanted) in [
            ("|1|10.1.0.2|50000|", Ok("10.1.0.2:50000")),
            ("|2|fd00::2|50000|", Ok("[fd00::2]:50000")),
            ("!1!10.1.0.2!50000!", Ok("10.1.0.2:50000")),
            ("|3|10.1.0.2|50000|", Err(Refusal::UnknownProtocol)),
            ("||10.1.0.2|50000|", Err(Refusal::Syntax)),
            ("|x|10.1.0.2|50000|", Err(Refusal::Syntax)),
            ("|1|fd00::2|50000|", Err(Refusal::Syntax)),
            ("|2|10.1.0.2|50000|", Err(Refusal::Syntax)),
            ("|2|fd00::2%eth0|50000|", Err(Refusal::Syntax)),
            ("|1|10.1.0.2|65536|", Err(Refusal::Syntax)),
            ("|1|10.1.0.2|+5000|", Err(Refusal::Syntax)),
            ("|1|10.1.0.2|50000", Err(Refusal::Syntax)),
            ("|1|10.1.0.2|50000||", Err(Refusal::Syntax)),
            ("|1|10.1.0.2|50000|x", Err(Refusal::Syntax)),
            ("", Err(Refusal::Syntax)),
            ("|", Err(Refusal::Syntax)),
        ] {
            let wanted = wanted.map(|endpoint: &str| endpoint.parse().unwrap());
            assert_eq!(parse_eprt(argument.as_bytes()), wanted, "{argument}");
        }
    }

    #[test]
    fn the_port_of_a_227_is_found_however_it_is_written() {
        for (text, wanted) in [
            ("227 Entering Passive Mode (10,2,0,2,195,80).", Some(50000)),
            ("227 Entering Passive Mode (10,2,0,2,195,80)", Some(50000)),
            ("227 Entering Passive Mode. 10,2,0,2,195,80", Some(50000)),
            ("227 =127,0,0,1,4,1", Some(1025)),
            ("227 1 is 2, 3,4 but (10,2,0,2,195,80)", Some(50000)),
            ("227 Entering Passive Mode (10,2,0,2,195,80,1)", None),
            ("227 Entering Passive Mode (10,2,0,2,195,256)", None),
            ("227 Entering Passive Mode", None),
        ] {
            assert_eq!(port_of_227(&text.as_bytes()[4..]), wanted, "{text}");
        }
    }

    #[test]
    fn the_port_of_a_229_stands_in_brackets() {
        for (text, wanted) in [
            ("Entering Extended Passive Mode (|||50000|)", Some(50000)),
            ("Entering Extended Passive Mode (|||50000|).", Some(50000)),
            ("Extended Passive Mode OK (!!!50000!)", Some(50000)),
            ("Entering Extended Passive Mode (|||65536|)", None),
            ("Entering Extended Passive Mode (|1|10.2.0.2|50000|)", None),
            ("Entering Extended Passive Mode (|||50000)", None),
            ("Entering Extended Passive Mode (|||50000|", None),
            ("Entering Extended Passive Mode |||50000|", None),
            ("(", None),
        ] {
            assert_eq!(port_of_229(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let v4: SocketAddr = "10.1.0.2:50001".parse().unwrap();
        assert_eq!(active_command(v4), "PORT 10,1,0,2,195,81\r\n");
        assert_eq!(active_command("[::ffff:10.1.0.2]:50001".parse().unwrap()), "PORT 10,1,0,2,195,81\r\n");
        assert_eq!(active_command("[fd00::2]:50001".parse().unwrap()), "EPRT |2|fd00::2|50001|\r\n");
        assert_eq!(port_of_227(&pasv_reply(Ipv4Addr::new(10, 1, 0, 1), 50001).as_bytes()[4..]), Some(50001));
        assert_eq!(port_of_229(&epsv_reply(50001).as_bytes()[4..]), Some(50001));
    }
}
