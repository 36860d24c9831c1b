//! Which addresses and ports generated packets have.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Numbers from a first to a last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range<T> {
    first: T,
    last: T,
}

/// Addresses, `192.0.2.1` or `192.0.2.1-192.0.2.99`.
pub(crate) type Addresses = Range<Ipv4Addr>;
/// Ports, `5000` or `5000-5999`.
pub(crate) type Ports = Range<u16>;

impl<T: Copy> Range<T> {
    /// Just this one.
    pub(crate) fn one(value: T) -> Self {
        Self { first: value, last: value }
    }
}

impl Addresses {
    /// So many from `first` on, one at least.
    pub(crate) fn from(first: Ipv4Addr, count: u32) -> Self {
        Self { first, last: Ipv4Addr::from(u32::from(first).saturating_add(count.saturating_sub(1))) }
    }

    /// How many there are.
    fn count(self) -> u64 {
        u64::from(u32::from(self.last) - u32::from(self.first)) + 1
    }

    fn at(self, index: u64) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.first) + index as u32)
    }
}

impl Ports {
    /// From the first to the last.
    pub(crate) const fn of(first: u16, last: u16) -> Self {
        Self { first, last }
    }

    /// How many there are.
    fn count(self) -> u64 {
        u64::from(self.last - self.first) + 1
    }

    fn at(self, index: u64) -> u16 {
        self.first + index as u16
    }
}

impl<T: FromStr + PartialOrd + Copy> FromStr for Range<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self { first, last }),
            (Ok(_), Ok(_)) => Err("a range goes from the lower to the higher".to_owned()),
            _ => Err("one value, or a range FIRST-LAST".to_owned()),
        }
    }
}

impl<T: fmt::Display + PartialEq> fmt::Display for Range<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// Addresses and ports of one direction; every combination of them is a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    pub(crate) sources: Addresses,
    pub(crate) destinations: Addresses,
    pub(crate) source_ports: Ports,
    pub(crate) destination_ports: Ports,
}

/// What tells a flow from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    pub(crate) addresses: [Ipv4Addr; 2],
    pub(crate) ports: [u16; 2],
}

impl Space {
    /// Ports that flows have unless somebody asks for others: 60 million combinations.
    pub(crate) const SOURCE_PORTS: Ports = Ports::of(1024, 61_023);
    /// As [`Self::SOURCE_PORTS`].
    pub(crate) const DESTINATION_PORTS: Ports = Ports::of(5000, 5999);

    /// From one host to another.
    pub(crate) fn between(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self {
            sources: Range::one(source),
            destinations: Range::one(destination),
            source_ports: Self::SOURCE_PORTS,
            destination_ports: Self::DESTINATION_PORTS,
        }
    }

    /// How many flows there can be.
    pub(crate) fn flows(&self) -> u64 {
        let addresses = self.sources.count().saturating_mul(self.destinations.count());
        addresses.saturating_mul(self.source_ports.count()).saturating_mul(self.destination_ports.count())
    }

    /// Flow `number`, from 0; addresses change first, then ports.
    pub(crate) fn tuple(&self, number: u64) -> Tuple {
        let mut rest = number;
        let mut next = |count: u64| {
            let index = rest % count;
            rest /= count;
            index
        };
        let source = self.sources.at(next(self.sources.count()));
        let destination = self.destinations.at(next(self.destinations.count()));
        let source_port = self.source_ports.at(next(self.source_ports.count()));
        let destination_port = self.destination_ports.at(next(self.destination_ports.count()));
        Tuple { addresses: [source, destination], ports: [source_port, destination_port] }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn space(destinations: &str, source_ports: &str) -> Space {
        let usual = Space::between(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        Space {
            destinations: destinations.parse().unwrap(),
            source_ports: source_ports.parse().unwrap(),
            ..usual
        }
    }

    #[test]
    fn every_flow_differs_and_lies_in_its_ranges() {
        let space = space("198.51.100.7-198.51.100.9", "1000-1099");
        assert_eq!(space.flows(), 3 * 100 * 1000);
        let tuples: HashSet<Tuple> = (0..space.flows()).map(|number| space.tuple(number)).collect();
        assert_eq!(tuples.len() as u64, space.flows());
        for tuple in tuples {
            assert!((7..=9).contains(&tuple.addresses[1].octets()[3]));
            assert!((1000..=1099).contains(&tuple.ports[0]) && (5000..=5999).contains(&tuple.ports[1]));
        }
    }

    #[test]
    fn addresses_change_first() {
        let space = space("198.51.100.1-198.51.100.2", "7");
        let last: Vec<u8> = (0..4).map(|number| space.tuple(number).addresses[1].octets()[3]).collect();
        assert_eq!(last, [1, 2, 1, 2]);
    }

    #[test]
    fn ranges_are_read_and_shown() {
        for text in ["5000", "5000-5999"] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.1".parse(), Ok(Range::one(Ipv4Addr::new(192, 0, 2, 1))));
        for wrong in ["", "-", "2-1", "1-2-3", "65536", "x"] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
        assert!("192.0.2.9-192.0.2.1".parse::<Addresses>().is_err());
    }
}
