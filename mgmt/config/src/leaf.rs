//! Single values: what each type accepts, and what is said when it does not.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use crate::error::Problem;
use crate::management::{Api, WebhookSeverity, WebhookUrl};
use crate::model::{
    Attach, HostPort, Layer4Protocol, LogFormat, LogLevel, Polling, Rings, Role, Roles, ServiceRef, Tunnel,
    parse_duration,
};
use crate::name::{Domain, InterfaceName, NodeName, ObjectName, ServiceName, VnetName};

/// A type that one value of the document is read into.
pub(crate) trait Leaf: Sized {
    /// What the type accepts, as told in error messages.
    const EXPECTED: &'static str;

    fn read(value: &DeValue<'_>) -> Result<Self, Problem>;

    fn invalid(value: &DeValue<'_>) -> Problem {
        Problem::Invalid { found: describe(value), expected: Self::EXPECTED.to_owned() }
    }
}

/// A value as an error message shows it, shortened.
pub(crate) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(integer) => shorten(integer.as_str()),
        DeValue::Float(float) => shorten(float.as_str()),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Text in quotes, control characters escaped, shortened.
pub(crate) fn quote(text: &str) -> String {
    format!("{:?}", shorten(text))
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

pub(crate) fn read_integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

macro_rules! text_leaf {
    ($($type:ty, $expected:expr, $read:expr;)*) => {$(
        impl Leaf for $type {
            const EXPECTED: &'static str = $expected;

            fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
                value.as_str().and_then($read).ok_or_else(|| Self::invalid(value))
            }
        }
    )*};
}

text_leaf! {
    NodeName, NodeName::EXPECTED, |text| Self::new(text).ok();
    Domain, Domain::EXPECTED, |text| Self::new(text).ok();
    InterfaceName, InterfaceName::EXPECTED, |text| Self::new(text).ok();
    VnetName, VnetName::EXPECTED, |text| Self::new(text).ok();
    ServiceName, ServiceName::EXPECTED, |text| Self::new(text).ok();
    ObjectName, ObjectName::EXPECTED, |text| Self::new(text).ok();
    HostPort, HostPort::EXPECTED, |text| text.parse().ok();
    DialTarget, "host:port, such as 192.0.2.2:8443, [2001:db8::2]:8443 or gw.example:8443", |text| {
        HostPort::parse(text, Some(Tunnel::DEFAULT_PORT)).map(Self)
    };
    ServiceRef, ServiceRef::EXPECTED, |text| text.parse().ok();
    Layer4Protocol, "\"tcp\", \"udp\", \"ftp\" or \"tftp\"", |text| match text {
        "tcp" => Some(Self::Tcp),
        "udp" => Some(Self::Udp),
        "ftp" => Some(Self::Ftp),
        "tftp" => Some(Self::Tftp),
        _ => None,
    };
    IpAddr, "an IP address", |text| text.parse().ok();
    SocketAddr, "address:port, such as 10.1.0.1:443 or [2001:db8::1]:443", |text| {
        text.parse().ok().filter(|address: &Self| address.port() != 0)
    };
    PathBuf, "a path", |text| (!text.is_empty() && !text.contains('\0')).then(|| text.into());
    Duration, "a time above zero with a unit, such as \"500ms\" or \"5s\", at most 365d", |text| {
        parse_duration(text).filter(|time| !time.is_zero() && *time <= Self::from_secs(365 * 86_400))
    };
    Role, "\"gateway\" or \"edge\"", |text| match text {
        "gateway" => Some(Self::Gateway),
        "edge" => Some(Self::Edge),
        _ => None,
    };
    Attach, "\"auto\", \"native\" or \"generic\"", |text| match text {
        "auto" => Some(Self::Auto),
        "native" => Some(Self::Native),
        "generic" => Some(Self::Generic),
        _ => None,
    };
    Rings, "\"auto\", \"zero-copy\" or \"copy\"", |text| match text {
        "auto" => Some(Self::Auto),
        "zero-copy" => Some(Self::ZeroCopy),
        "copy" => Some(Self::Copy),
        _ => None,
    };
    Roles, "\"auto\", \"combined\" or \"separate\"", |text| match text {
        "auto" => Some(Self::Auto),
        "combined" => Some(Self::Combined),
        "separate" => Some(Self::Separate),
        _ => None,
    };
    Polling, "\"adaptive\" or \"busy\"", |text| match text {
        "adaptive" => Some(Self::Adaptive),
        "busy" => Some(Self::Busy),
        _ => None,
    };
    LogFormat, "\"text\" or \"json\"", |text| match text {
        "text" => Some(Self::Text),
        "json" => Some(Self::Json),
        _ => None,
    };
    LogLevel, "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"", |text| match text {
        "error" => Some(Self::Error),
        "warn" => Some(Self::Warn),
        "info" => Some(Self::Info),
        "debug" => Some(Self::Debug),
        "trace" => Some(Self::Trace),
        _ => None,
    };
    WebhookSeverity, "\"info\", \"warning\" or \"error\"", |text| match text {
        "info" => Some(Self::Info),
        "warning" => Some(Self::Warning),
        "error" => Some(Self::Error),
        _ => None,
    };
    WebhookUrl, WebhookUrl::EXPECTED, WebhookUrl::new;
    ListenAddress, "address:port, such as 192.0.2.1:8443", |text| {
        let address = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, Tunnel::DEFAULT_PORT)));
        address.ok().filter(|address| address.port() != 0).map(Self)
    };
    ApiAddress, "address:port, such as 192.0.2.1:8444", |text| {
        let address = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, Api::DEFAULT_PORT)));
        address.ok().filter(|address| address.port() != 0).map(Self)
    };
    Ports, "a port or a range such as \"8000-8999\"", |text| read_ports(text).map(Self);
}

/// Where tunnels are accepted; the port may be left out.
pub(crate) struct ListenAddress(pub(crate) SocketAddr);

/// Where the management API listens; the port may be left out.
pub(crate) struct ApiAddress(pub(crate) SocketAddr);

/// Where a tunnel is dialled; the port may be left out.
pub(crate) struct DialTarget(pub(crate) HostPort);

/// One port or a range.
pub(crate) struct Ports(pub(crate) RangeInclusive<u16>);

fn read_ports(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

impl Leaf for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        value.as_bool().ok_or_else(|| Self::invalid(value))
    }
}

impl Leaf for String {
    const EXPECTED: &'static str = "a text";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        value.as_str().map(str::to_owned).ok_or_else(|| Self::invalid(value))
    }
}

impl Leaf for IpNet {
    const EXPECTED: &'static str = "a prefix such as 10.1.0.0/24 or fd00:1::/64";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        value.as_str().ok_or_else(|| Self::invalid(value)).and_then(|text| read_prefix(text, Self::EXPECTED))
    }
}

/// Reads a prefix; an address without length and set host bits are refused with the right text.
pub(crate) fn read_prefix(text: &str, expected: &str) -> Result<IpNet, Problem> {
    let invalid = |expected: String| Problem::Invalid { found: quote(text), expected };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Err(invalid(format!("a prefix with its length, such as {}", IpNet::from(address))));
    }
    let prefix: IpNet = text.parse().map_err(|_| invalid(expected.to_owned()))?;
    if prefix.trunc() == prefix {
        Ok(prefix)
    } else {
        Err(Problem::HostBits { found: text.to_owned(), right: prefix.trunc().to_string() })
    }
}

/// `any`, a name or a number; [`None`] inside stands for `any`.
pub(crate) struct Protocol(pub(crate) Option<u8>);

impl Leaf for Protocol {
    const EXPECTED: &'static str = "\"any\", \"tcp\", \"udp\", \"icmp\" or a number from 0 to 255";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        let number = || {
            let number = match value.as_str() {
                Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
                Some(_) => None,
                None => read_integer(value).and_then(|number| u8::try_from(number).ok()),
            };
            number.map(|number| Self(Some(number))).ok_or_else(|| Self::invalid(value))
        };
        match value.as_str() {
            Some("any") => Ok(Self(None)),
            Some("tcp") => Ok(Self(Some(crate::PROTOCOL_TCP))),
            Some("udp") => Ok(Self(Some(crate::PROTOCOL_UDP))),
            Some("icmp") => Ok(Self(Some(crate::PROTOCOL_ICMP))),
            _ => number(),
        }
    }
}
