//! The keys and words of single packets.

use gridway_control::{
    CapturePoint, CapturedPacket, End, PacketFilter, PacketTrace, Ping, Reply, Request, Side, Step, Tuple,
    decode_request, encode_request,
};

use crate::keys::{keys, rows};

#[test]
fn traces_have_the_documented_keys() {
    let tuple = Tuple {
        src: "10.1.0.2".parse().unwrap(),
        dst: "172.16.2.2".parse().unwrap(),
        proto: 6,
        sport: 1,
        dport: 2,
    };
    let trace = PacketTrace {
        at_us: 1,
        worker: 0,
        from: Side::Local,
        length: 40,
        tuple: Some(tuple),
        translated: None,
        steps: vec![Step { stage: "acl".into(), passed: false, detail: "line 10".into() }],
        verdict: "dropped".into(),
        reason: Some("acl_deny".into()),
        answer: None,
    };
    let value = rows(&Reply::Trace(Box::new(trace)));
    let expected =
        ["answer", "at_us", "from", "length", "reason", "steps", "translated", "tuple", "verdict", "worker"];
    assert_eq!(keys(&value), expected);
    assert_eq!(keys(&value["steps"][0]), ["detail", "passed", "stage"]);
}

#[test]
fn captured_packets_and_pings_have_the_documented_keys() {
    let captured = CapturedPacket {
        at_us: 1,
        worker: 0,
        from: Side::Overlay,
        comment: String::new(),
        length: 20,
        bytes: "45".into(),
    };
    let expected = ["at_us", "bytes", "comment", "from", "length", "worker"];
    assert_eq!(keys(&rows(&Reply::Captured(captured))), expected);
    let ping = Ping { sequence: 1, round_trip_us: None, peer: None, error: None };
    assert_eq!(keys(&rows(&Reply::Ping(ping))), ["error", "peer", "round_trip_us", "sequence"]);
    assert_eq!(keys(&rows(&Reply::End(End::default()))), ["missed", "rows"]);
    for (point, word) in [(CapturePoint::Local, "local"), (CapturePoint::Virtual, "virtual")] {
        assert_eq!(serde_json::to_value(point).unwrap(), word);
    }
}

#[test]
fn requests_for_packets_are_spelled_as_documented() {
    let filter = PacketFilter {
        from: Some(Side::Local),
        dst: Some("10.200.2.0/24".parse().unwrap()),
        dropped: Some("any".into()),
        ..PacketFilter::default()
    };
    let line = encode_request(&Request::Trace { filter, count: 10, wait_ms: 30_000 }).unwrap();
    let expected = "{\"request\":\"trace\",\"filter\":{\"from\":\"local\",\"dst\":\"10.200.2.0/24\",\
                    \"dropped\":\"any\"},\"count\":10,\"wait_ms\":30000}\n";
    assert_eq!(String::from_utf8(line).unwrap(), expected);
    let line = br#"{"request":"simulate","from":"local","vnet":"corp","tuple":{"src":"10.1.0.2","dst":"172.16.2.2","proto":6,"sport":1,"dport":2}}"#;
    let Request::Simulate(packet) = decode_request(line).unwrap() else { panic!("another request") };
    assert_eq!((packet.ttl, packet.dont_fragment, packet.length), (64, false, None));
    assert!(decode_request(br#"{"request":"trace","filter":{"ports":1},"count":1,"wait_ms":1}"#).is_err());
}
