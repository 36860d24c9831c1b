//! `gridway simulate`, `trace`, `capture` and `ping`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gridway_control::{
    CapturePoint, CapturedPacket, End, Failure, FailureKind, PacketFilter, PacketTrace, Ping, Reply, Request,
    Side, SimulatedPacket, Step, Tuple,
};

use crate::fake::FakeNode;
use crate::top::status;
use crate::{json, stderr, text};

fn tuple(proto: u8, sport: u16, dport: u16) -> Tuple {
    Tuple { src: "10.1.0.2".parse().unwrap(), dst: "172.16.2.2".parse().unwrap(), proto, sport, dport }
}

fn trace(dropped: bool) -> PacketTrace {
    let step =
        |stage: &str, passed, detail: &str| Step { stage: stage.into(), passed, detail: detail.into() };
    PacketTrace {
        at_us: 1_700_000_000_000_123,
        worker: 0,
        from: Side::Local,
        length: 40,
        tuple: Some(tuple(6, 49152, 443)),
        translated: (!dropped).then(|| Tuple { dport: 444, ..tuple(6, 49152, 443) }),
        steps: vec![step("vnet", true, "corp"), step("acl", !dropped, "line 10: \u{1b}drop")],
        verdict: if dropped { "dropped" } else { "forwarded" }.into(),
        reason: dropped.then(|| "acl_deny".into()),
        answer: dropped.then(|| "ICMP administratively prohibited".into()),
    }
}

#[test]
fn a_simulation_shows_every_step_and_says_no_when_it_drops() {
    let node = FakeNode::new(|_| vec![Reply::Trace(Box::new(trace(true)))]);
    let command = "simulate --vnet corp --src 10.1.0.2 --dst 172.16.2.2 --proto tcp --dport 443";
    let output = node.run(command);
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stdout).unwrap();
    let expected = "22:13:20.000123 from local: tcp 10.1.0.2:49152 > 172.16.2.2:443, 40 bytes\n  \
                    ok  vnet         corp\n  NO  acl          line 10: \u{fffd}drop\n  => dropped: acl_deny\n     \
                    the sender is told: ICMP administratively prohibited\n";
    assert_eq!(shown, expected);
    let packet = SimulatedPacket {
        from: Side::Local,
        vnet: "corp".into(),
        peer: None,
        tuple: tuple(6, 49152, 443),
        tcp_flags: None,
        length: None,
        dont_fragment: false,
        ttl: 64,
    };
    assert_eq!(node.requests(), [Request::Simulate(packet)]);
    let output = node.run(&format!("{command} --json"));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &value["reason"]), (Some(1), &"acl_deny".into()));
}

#[test]
fn every_field_of_a_simulated_packet_reaches_the_node() {
    let node = FakeNode::new(|_| vec![Reply::Trace(Box::new(trace(false)))]);
    let output = node.run(
        "simulate --vnet corp --from overlay --peer gw-b --src 10.1.0.2 --dst 172.16.2.2 --proto tcp --sport 7 \
         --dport 443 --tcp-flags syn,ack --length 1500 --df --ttl 1",
    );
    assert!(text(&output).contains("=> forwarded as 10.1.0.2:49152 > 172.16.2.2:444"), "{output:?}");
    let packet = SimulatedPacket {
        from: Side::Overlay,
        vnet: "corp".into(),
        peer: Some("gw-b".into()),
        tuple: tuple(6, 7, 443),
        tcp_flags: Some("SYN,ACK".into()),
        length: Some(1500),
        dont_fragment: true,
        ttl: 1,
    };
    assert_eq!(node.requests(), [Request::Simulate(packet)]);
    let ends = "simulate --vnet corp --src fd00::1 --dst fd00::2 --proto icmp";
    assert!(node.run(ends).status.success());
    let Request::Simulate(packet) = node.requests().remove(1) else { panic!("another request") };
    assert_eq!((packet.tuple.proto, packet.tuple.sport), (58, 0));
    for wrong in [
        "simulate --vnet corp --src 10.1.0.2 --dst fd00::2 --proto icmp",
        "simulate --vnet corp --src 10.1.0.2 --dst 10.1.0.3 --proto tcp",
        "simulate --vnet corp --src 10.1.0.2 --dst 10.1.0.3 --proto udp --dport 1 --tcp-flags SYN",
        "simulate --vnet corp --src 10.1.0.2 --dst 10.1.0.3 --proto icmp --peer gw-b",
        "simulate --src 10.1.0.2 --dst 10.1.0.3 --proto icmp",
    ] {
        assert_eq!(node.run(wrong).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn traced_packets_come_as_they_pass() {
    let node = FakeNode::new(|_| {
        let row = |dropped| Reply::Trace(Box::new(trace(dropped)));
        vec![row(false), row(true), Reply::End(End { rows: 2, missed: 3 })]
    });
    let output = node.run(
        "trace --count 2 --for 5s --from local --vnet corp --peer gw-b --address 10.1.0.0/24 --src 10.1.0.2 \
         --dst 172.16.0.0/12 --proto tcp --port 443 --sport 1 --dport 443 --dropped",
    );
    assert!(text(&output).contains("=> dropped: acl_deny"));
    assert_eq!(stderr(&output), "2 packet(s) traced, 3 missed\n");
    let filter = PacketFilter {
        from: Some(Side::Local),
        vnet: Some("corp".into()),
        peer: Some("gw-b".into()),
        address: Some("10.1.0.0/24".parse().unwrap()),
        src: Some("10.1.0.2/32".parse().unwrap()),
        dst: Some("172.16.0.0/12".parse().unwrap()),
        proto: Some(6),
        port: Some(443),
        sport: Some(1),
        dport: Some(443),
        dropped: Some("any".into()),
    };
    assert_eq!(node.requests(), [Request::Trace { filter, count: 2, wait_ms: 5000 }]);
    let output = node.run("trace --dropped acl_deny --json");
    let lines: Vec<serde_json::Value> =
        text(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["verdict"]), (2, &"dropped".into()));
    assert_eq!(node.run("trace --count 0").status.code(), Some(2));
    assert_eq!(node.run("trace --dst everywhere").status.code(), Some(2));
}

#[test]
fn pings_end_with_a_summary() {
    let ping = |sequence, round_trip_us, error: Option<&str>| {
        Reply::Ping(Ping { sequence, round_trip_us, peer: Some("gw-b".into()), error: error.map(Into::into) })
    };
    let node = FakeNode::new(move |_| {
        let rows = [ping(1, Some(1234), None), ping(2, None, Some("timed out")), ping(3, Some(2234), None)];
        rows.into_iter().chain([Reply::End(End { rows: 3, missed: 0 })]).collect()
    });
    let expected = "PING 10.200.2.2 in corp\nreply via gw-b: seq=1 time=1.234 ms\n\
                    no reply via gw-b: seq=2: timed out\nreply via gw-b: seq=3 time=2.234 ms\n\
                    --- 10.200.2.2 ping statistics ---\n3 sent, 2 received, 33% lost\n\
                    rtt min/avg/max/mdev = 1.234/1.734/2.234/0.500 ms\n";
    assert_eq!(text(&node.run("ping --vnet corp 10.200.2.2 --count 3 --interval 10ms")), expected);
    let address = "10.200.2.2".parse().unwrap();
    let request = Request::Ping { vnet: "corp".into(), address, count: 3, interval_ms: 10 };
    assert_eq!(node.requests(), [request]);

    let silent = FakeNode::new(move |_| vec![ping(1, None, None), Reply::End(End { rows: 1, missed: 0 })]);
    let output = silent.run("ping --vnet corp 10.200.2.2 --json");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), "no reply\n"));
    let refused =
        FakeNode::new(|_| vec![Reply::Error(Failure::new(FailureKind::NotFound, "there is no vnet x"))]);
    let output = refused.run("ping --vnet x 10.200.2.2");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no vnet x"));
}

/// An IPv4 UDP packet of 32 bytes, of which 4 are payload.
const PACKET: &str = "45000020000100004011 00000a010002ac100202 0fa00035000c0000 deadbeef";

fn captured(from: Side, at_us: u64) -> Reply {
    let bytes = PACKET.replace(' ', "");
    let comment = "forwarded to gw-b, 100\u{20ac}".into();
    Reply::Captured(CapturedPacket { at_us, worker: 0, from, comment, length: 1032, bytes })
}

fn capturing(request: &Request) -> Vec<Reply> {
    match request {
        Request::Status => vec![Reply::Status(Box::new(status("gw-a")))],
        Request::Capture { .. } => vec![
            captured(Side::Local, 1_700_000_000_000_123),
            captured(Side::Overlay, 1_700_000_001_500_000),
            Reply::End(End { rows: 2, missed: 7 }),
        ],
        _ => vec![Reply::Error(Failure::new(FailureKind::BadRequest, "not asked for here"))],
    }
}

#[test]
fn captures_are_read_by_tshark() {
    let node = FakeNode::new(capturing);
    let output = node.run("capture --out f.pcapng --point virtual --vnet corp --count 5 --for 7s --snap 32");
    assert_eq!((text(&output).as_str(), stderr(&output).as_str()), ("", "2 packet(s) captured, 7 missed\n"));
    let filter = PacketFilter { vnet: Some("corp".into()), ..PacketFilter::default() };
    let point = CapturePoint::Virtual;
    let expected = Request::Capture { point, filter, count: 5, wait_ms: 7000, snap: 32 };
    assert_eq!(node.requests(), [Request::Status, expected]);
    let file = node.folder().join("f.pcapng");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-E", "separator=|", "-r"]).arg(&file);
    for field in
        ["frame.interface_name", "frame.time_epoch", "frame.comment", "frame.len", "ip.src", "udp.dstport"]
    {
        tshark.args(["-e", field]);
    }
    let shown = tshark.stderr(Stdio::null()).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let comment = "forwarded to gw-b, 100\u{20ac}|1032|10.1.0.2|53";
    let expected = [
        format!("gw-a:virtual outbound|1700000000.000123000|{comment}"),
        format!("gw-a:virtual inbound|1700000001.500000000|{comment}"),
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_capture_never_replaces_a_file_unasked() {
    let node = FakeNode::new(capturing);
    let file = node.folder().join("f.pcapng");
    fs::write(&file, "mine").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let output = node.run("capture --out f.pcapng --point local");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--overwrite"), "{}", stderr(&output));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert!(node.run("capture --out f.pcapng --point local --overwrite").status.success());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read(&file).unwrap().len() > 100);
    let output = node.run("capture --out . --point local --overwrite");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not a regular file"), "{}", stderr(&output));
}

#[test]
fn a_capture_that_is_refused_leaves_no_file_and_the_one_before_as_it_was() {
    let node = FakeNode::new(|request| match request {
        Request::Capture { .. } => {
            vec![Reply::Error(Failure::new(FailureKind::NotFound, "no \u{1b}[2J vnet"))]
        }
        other => capturing(other),
    });
    let refused = node.run("capture --out f.pcapng --point local");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("no \u{fffd}[2J vnet"), "{}", stderr(&refused));
    let files = || {
        let mut names: Vec<_> =
            fs::read_dir(node.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(files(), ["node.sock"]);
    let file = node.folder().join("f.pcapng");
    fs::write(&file, "mine").unwrap();
    assert_eq!(node.run("capture --out f.pcapng --point local --overwrite").status.code(), Some(1));
    assert_eq!(files(), ["f.pcapng", "node.sock"]);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_capture_ends_at_its_size_and_goes_to_standard_output() {
    let node = FakeNode::new(capturing);
    let output = node.run("capture --out - --point local --max-size 400");
    assert_eq!(stderr(&output), "1 packet(s) captured; the file has reached its size\n");
    assert!(output.stdout.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]));
    assert_eq!(node.run("capture --out - --point middle").status.code(), Some(2));
    assert_eq!(node.run("capture --point local").status.code(), Some(2));
}

#[test]
fn an_interrupted_capture_keeps_what_came_and_says_how_much() {
    let node = FakeNode::new(|request| match request {
        // Without an end: the node waits for more.
        Request::Capture { .. } => vec![captured(Side::Local, 1)],
        other => capturing(other),
    });
    let mut command = node.command("capture --out f.pcapng --point local");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let file = node.folder().join("f.pcapng");
    let end = Instant::now() + Duration::from_secs(20);
    // What came is written although no more comes.
    let marker = [0xde, 0xad, 0xbe, 0xef];
    while !fs::read(&file).is_ok_and(|bytes| bytes.windows(4).any(|window| window == marker)) {
        assert!(Instant::now() < end, "nothing was written");
        thread::sleep(Duration::from_millis(20));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "1 packet(s) captured; interrupted\n");
}

/// Ctrl-C.
pub(crate) fn interrupt(child: &std::process::Child) {
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
}

#[test]
fn json_of_a_trace_has_its_keys() {
    let node = FakeNode::new(|_| vec![Reply::Trace(Box::new(trace(false)))]);
    let value =
        json(&node.run("simulate --vnet corp --src 10.1.0.2 --dst 172.16.2.2 --proto udp --dport 53 --json"));
    assert_eq!((&value["steps"][0]["stage"], &value["tuple"]["dport"]), (&"vnet".into(), &443.into()));
}
