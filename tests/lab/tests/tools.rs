//! The tools see what is there, and do not see what is not.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which the lint does not recognise as tests")]

use std::net::SocketAddr;
use std::time::Duration;

use gridway_lab::tools::{PortState, Scan, echo_tcp, echo_udp};
use gridway_lab::{
    Capture, DATA_INTERFACE, EchoServer, HOST_INTERFACE, Iperf3, Iperf3Server, Lab, LabError, Marker, Ping,
    Rate, RawSender, Side, WAN_INTERFACE,
};

const LIMIT: Duration = Duration::from_secs(5);

fn forwarding_lab() -> Lab {
    let lab = Lab::new().unwrap();
    lab.kernel_forwarding(true).unwrap();
    lab
}

fn on_h2(port: u16) -> SocketAddr {
    (Side::B.host(0), port).into()
}

#[test]
fn capture_finds_the_marker_that_passed_and_not_another() {
    let lab = forwarding_lab();
    let server = EchoServer::udp(lab.h2(), on_h2(7)).unwrap();
    let mut capture = Capture::start(lab.gwa(), WAN_INTERFACE, "udp port 7").unwrap();
    let (marker, other) = (Marker::random(), Marker::random());

    let answer = echo_udp(lab.h1(), server.address(), &marker.payload(1000), LIMIT).unwrap();
    assert_eq!(answer, marker.payload(1000));
    capture.wait_for(marker.bytes(), LIMIT).unwrap();
    let report = capture.stop().unwrap();
    assert_eq!((report.captured, report.dropped), (2, 0), "a request and its echo");
    assert!(capture.contains(marker.bytes()).unwrap());
    assert!(!capture.contains(other.bytes()).unwrap());

    let copy = lab.path().join("copy.pcap");
    capture.save(&copy).unwrap();
    assert_eq!(std::fs::metadata(copy).unwrap().len(), capture.size().unwrap());
}

#[test]
fn a_stopped_capture_holds_every_frame_that_passed_before() {
    let lab = forwarding_lab();
    let mut capture = Capture::start(lab.gwa(), DATA_INTERFACE, "icmp").unwrap();
    let report =
        Ping::new(Side::B.host(0)).count(200).interval(Duration::from_millis(1)).run(lab.h1()).unwrap();
    let stopped = capture.stop().unwrap();
    assert_eq!(stopped.captured, u64::from(report.sent + report.received));
    assert_eq!(stopped.dropped, 0);
}

#[test]
fn echo_carries_payloads_larger_than_any_buffer_and_tells_who_asked() {
    let lab = forwarding_lab();
    let server = EchoServer::tcp(lab.h2(), on_h2(0)).unwrap();
    let payload = Marker::random().payload(20 << 20);
    let answer = echo_tcp(lab.h1(), server.address(), &payload, LIMIT).unwrap();
    assert!(answer == payload, "{} bytes came back of {}", answer.len(), payload.len());
    let clients = server.clients();
    assert_eq!(clients.len(), 1);
    assert_eq!(clients[0].ip(), Side::A.host(0));
}

#[test]
fn echo_to_a_closed_port_is_an_error_that_names_it() {
    let lab = forwarding_lab();
    let error = echo_tcp(lab.h1(), on_h2(9), b"x", LIMIT).unwrap_err();
    assert!(matches!(&error, LabError::Io { what, .. } if what.contains("10.2.0.2:9")), "{error}");
}

#[test]
fn scan_tells_open_closed_and_filtered_ports_apart() {
    let lab = forwarding_lab();
    let _open = EchoServer::tcp(lab.h2(), on_h2(80)).unwrap();
    lab.h2()
        .command("nft")
        .args(["-f", "-"])
        .stdin(
            "add table inet t\n\
             add chain inet t input { type filter hook input priority 0; }\n\
             add rule inet t input tcp dport 443 drop\n",
        )
        .run()
        .unwrap();
    let report = Scan::tcp(Side::B.host(0), "80,81,443").run(lab.h1()).unwrap();
    assert_eq!(report.state(80), Some(PortState::Open));
    assert_eq!(report.state(81), Some(PortState::Closed));
    assert_eq!(report.state(443), Some(PortState::Filtered));
    let many = Scan::tcp(Side::B.host(0), "1-100").run(lab.h1()).unwrap();
    assert_eq!(many.ports.len(), 100, "every port has a state");
    assert_eq!(many.in_state(PortState::Open), [80]);
}

#[test]
fn iperf3_reports_udp_loss_and_reverse_throughput() {
    let lab = forwarding_lab();
    let _server = Iperf3Server::start(lab.h2(), 5202).unwrap();
    let second = Duration::from_secs(1);
    let udp = Iperf3::udp(Side::B.host(0), Rate::mbit(10)).port(5202).length(1000).duration(second);
    let report = udp.run(lab.h1()).unwrap();
    assert!((8.0..12.0).contains(&(report.sent_bps / 1e6)), "{} bit/s", report.sent_bps);
    let (lost, sent) = report.datagrams.unwrap();
    assert!(sent > 500 && lost * 20 < sent, "{lost} of {sent} lost");
    let tcp = Iperf3::tcp(Side::B.host(0)).port(5202).parallel(2).reverse().duration(second);
    let report = tcp.run(lab.h1()).unwrap();
    assert!(report.mbps() > 50.0 && report.retransmits.is_some(), "{report:?}");
}

#[test]
fn iperf3_without_a_server_fails_with_its_own_words() {
    let lab = forwarding_lab();
    let error = Iperf3::tcp(Side::B.host(0)).run(lab.h1()).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn raw_frames_arrive_as_they_were_sent() {
    let lab = Lab::new().unwrap();
    let sender = RawSender::open(lab.h1(), HOST_INTERFACE).unwrap();
    let mut capture = Capture::start(lab.gwa(), DATA_INTERFACE, "").unwrap();
    let marker = Marker::random();
    // An ethertype for local experiments (IEEE 802, 0x88b5) and a truncated IPv4 header.
    let frame = |ethertype: [u8; 2], body: &[u8]| [&[0xff; 6], &sender.mac()[..], &ethertype, body].concat();
    sender.send(&frame([0x88, 0xb5], marker.bytes())).unwrap();
    sender.send(&frame([0x08, 0x00], &[0x4f, 0, 0, 3])).unwrap();
    capture.wait_for(&frame([0x88, 0xb5], marker.bytes()), LIMIT).unwrap();
    capture.wait_for(&frame([0x08, 0x00], &[0x4f, 0, 0, 3]), LIMIT).unwrap();
    capture.stop().unwrap();
    assert!(sender.send(&[0; 5]).is_err(), "shorter than an Ethernet header");
    assert!(RawSender::open(lab.h1(), "nosuch0").is_err());
}

#[test]
fn a_failing_program_is_reported_with_its_words_and_place() {
    let lab = Lab::new().unwrap();
    let error = lab.h1().ip("link show dev nosuch0").unwrap_err().to_string();
    assert!(error.contains("h1") && error.contains("nosuch0") && error.contains("does not exist"), "{error}");
    let missing = lab.h1().run("no-such-program", [""; 0]).unwrap_err().to_string();
    assert!(missing.contains("no-such-program"), "{missing}");
    let slow = lab.h1().command("sleep").arg("60").timeout(Duration::from_millis(100)).run().unwrap_err();
    assert!(matches!(slow, LabError::Timeout { .. }), "{slow}");
}
