//! The tools an engineer would reach for, run inside namespaces, with their answers as values.

mod capture;
mod echo;
mod flood;
mod http;
mod iperf3;
mod marker;
mod nmap;
mod ping;
mod raw;
mod scapy;
mod stun;
mod tracepath;
mod traceroute;
mod tshark;

pub use capture::{Capture, CaptureReport};
pub use echo::{EchoServer, echo_tcp, echo_udp, echo_udp_from};
pub use flood::SynFlood;
pub use http::{Curl, MirrorServer};
pub use iperf3::{Iperf3, Iperf3Report, Iperf3Server};
pub use marker::Marker;
pub use nmap::{PortState, Scan, ScanReport};
pub use ping::{Ping, PingReport};
pub use raw::RawSender;
pub use scapy::{IcmpAnswer, Scapy, sr1};
pub use stun::{Behaviour, NatDiscovery, StunServer};
pub use tracepath::{Tracepath, tracepath};
pub use traceroute::{Hop, Probe, Traceroute};
