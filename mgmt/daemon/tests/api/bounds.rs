//! What a client may take up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Daemon, LIMIT, wait};

/// Until the other end closes or resets.
fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut bytes) {
            Ok(count @ 1..) => all.extend_from_slice(&bytes[..count]),
            Ok(0) | Err(_) => return all,
        }
    }
}

#[test]
fn requests_above_the_rate_are_refused_and_counted_for_each_operator_alone() {
    let daemon = Daemon::start("requests_per_second = 5");
    let mut curl = daemon.curl("alice");
    curl.args(["--write-out", "%{http_code}\n"]);
    for _ in 0..40 {
        curl.args(["--output", "/dev/null"]).arg(daemon.url("/v1/limits"));
    }
    let output = curl.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let count = |status: &str| text.lines().filter(|line| *line == status).count();
    assert!((10..30).contains(&count("200")), "{text}");
    assert_eq!(count("200") + count("429"), 40, "{text}");
    assert_eq!(daemon.get("vera", "/v1/limits").status, 200);
    let refused =
        wait("a refusal", || Some(daemon.get("alice", "/v1/limits")).filter(|answer| answer.status == 429));
    assert_eq!(refused.kind(), "too_many_requests");
    assert!(refused.head.contains("retry-after: 1"), "{refused:?}");
    let metrics = daemon.get("vera", "/metrics").body;
    assert!(metrics.contains("gridway_mgmt_requests_total{status=\"4xx\"}"), "{metrics}");
}

#[test]
fn a_body_is_bounded_in_length_and_time() {
    let daemon = Daemon::start("");
    let long = json!({"vnet": "x".repeat(64 * 1024), "address": "10.0.0.1", "count": 1, "interval_ms": 1});
    let file = daemon.path("long.json");
    let send = |path: &str| {
        let data = format!("@{}", file.display());
        daemon.request(
            "alice",
            &["POST", "--header", "content-type: application/json", "--data-binary", &data],
            path,
        )
    };
    std::fs::write(&file, long.to_string()).unwrap();
    assert_eq!(send("/v1/ping").status, 413);
    // A configuration may be longer.
    std::fs::write(&file, json!({"toml": "#".repeat(3 << 20)}).to_string()).unwrap();
    let judged = send("/v1/config/judge");
    assert_eq!(judged.json()["diff"], format!("{} bytes", 3 << 20));
    let applied = send("/v1/config");
    assert_eq!(applied.status, 200, "{applied:?}");

    let mut slow = daemon.tls("alice");
    let head =
        "POST /v1/ping HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    slow.write_all(head.as_bytes()).unwrap();
    let begin = Instant::now();
    let answer = String::from_utf8(read_to_end(&mut slow)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(begin.elapsed() < LIMIT, "{:?}", begin.elapsed());
}

#[test]
fn a_viewers_long_body_waits_unread_and_holds_up_no_operator() {
    let daemon = Daemon::start("");
    let head = "POST /v1/config/judge HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let mut said = daemon.tls("vera");
    write!(said, "{head}content-length: 100000000\r\n\r\n").unwrap();
    let mut bytes = [0; 64];
    let count = said.read(&mut bytes).unwrap();
    assert!(bytes[..count].starts_with(b"HTTP/1.1 413"));

    let mut slow = daemon.tls("vera");
    write!(slow, "{head}content-length: 1000000\r\n\r\n{{").unwrap();
    wait("the turn to be taken", || {
        let answer = daemon.post("vera", "/v1/config/judge", &json!({"toml": "x"}));
        (answer.status == 503).then_some(())
    });
    assert_eq!(daemon.get("vera", "/v1/config").status, 503);
    assert_eq!(daemon.get("vera", "/v1/status").status, 200);
    assert_eq!(daemon.post("alice", "/v1/config/judge", &json!({"toml": "x"})).status, 200);
    assert_eq!(daemon.post("alice", "/v1/config", &json!({"toml": "# second\n"})).status, 200);
    assert_eq!(daemon.get("alice", "/v1/config").status, 200);
    drop(slow);
    wait("the turn to be given back", || (daemon.get("vera", "/v1/config").status == 200).then_some(()));
}

#[test]
fn connections_of_one_operator_are_bounded() {
    let daemon = Daemon::start("");
    let open = || {
        let mut stream = daemon.tls("vera");
        let asked = stream.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut bytes = [0; 12];
        (asked.is_ok() && stream.read_exact(&mut bytes).is_ok() && bytes == *b"HTTP/1.1 200")
            .then_some(stream)
    };
    let held: Vec<_> = (0..32).map(|_| open().unwrap()).collect();
    assert!(open().is_none());
    assert_eq!(daemon.get("alice", "/v1/limits").status, 200);
    drop(held);
    wait("room for another", || open().map(drop));
}

#[test]
fn who_dawdles_is_let_go_and_others_are_served() {
    let daemon = Daemon::start("");
    // Neither a handshake, nor a head, nor a second request.
    let silent = TcpStream::connect(daemon.address).unwrap();
    silent.set_read_timeout(Some(LIMIT)).unwrap();
    let mut half = daemon.tls("alice");
    half.write_all(b"GET /v1/status HTTP/1.1\r\nhost:").unwrap();
    let mut idle = daemon.tls("alice");
    idle.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let begin = Instant::now();
    assert_eq!(daemon.get("vera", "/v1/status").status, 200);
    assert!(read_to_end(&mut &silent).is_empty());
    assert!((4..9).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert!(!read_to_end(&mut half).starts_with(b"HTTP/1.1 200"));
    assert!(read_to_end(&mut idle).starts_with(b"HTTP/1.1 200"));
    assert!(begin.elapsed() < LIMIT, "{:?}", begin.elapsed());
    wait("the connections to be gone", || {
        let metrics = daemon.get("vera", "/metrics").body;
        // The one that asks is one of them.
        metrics.contains("gridway_mgmt_connections 1\n").then_some(())
    });
}

#[test]
fn one_address_cannot_take_all_handshakes_and_nobody_all_connections() {
    let daemon = Daemon::start("");
    let silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(daemon.address).unwrap()).collect();
    // All but 16 are closed at once; those that remain for five seconds.
    let closed = |stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        matches!((&*stream).read(&mut [0]), Ok(0)) || stream.take_error().is_ok_and(|error| error.is_some())
    };
    assert!(silent.iter().skip(20).take(3).all(closed));
    drop(silent);
    wait("a handshake to be possible", || {
        daemon.curl("vera").arg(daemon.url("/v1/status")).output().unwrap().status.success().then_some(())
    });
    let metrics = daemon.get("vera", "/metrics").body;
    let crowded =
        metrics.lines().find_map(|line| line.strip_prefix("gridway_mgmt_crowded_connections_total "));
    assert!(crowded.unwrap().parse::<u64>().unwrap() >= 20, "{metrics}");
}

#[test]
fn garbage_on_the_port_ends_its_connection_alone() {
    let daemon = Daemon::start("");
    let pieces: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        &[0x16, 0x03, 0x01, 0xff, 0xff, 1, 2, 3],
        &[0; 2000],
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ];
    for piece in pieces {
        let mut stream = TcpStream::connect(daemon.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(piece).unwrap();
        let answer = read_to_end(&mut stream);
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    // Inside TLS.
    for piece in [&b"\x00\x01\x02\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[b'a'; 100_000]] {
        let mut stream = daemon.tls("alice");
        // It may be closed while it is written to.
        drop(stream.write_all(piece));
        let answer = String::from_utf8_lossy(&read_to_end(&mut stream)).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(daemon.get("vera", "/v1/status").status, 200);
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn http_2_is_not_spoken() {
    let daemon = Daemon::start("");
    let mut curl = daemon.curl("vera");
    let output = curl.args(["--http2", "--write-out", "%{http_version}", "--output", "/dev/null"]);
    let output = output.arg(daemon.url("/v1/status")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1.1");
}
