//! The flow log, read by the programs that operators read it with.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gridway_control::{FlowEndReason, FlowEvent, FlowLogLine, FlowRow, Side as Began, Tuple};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts, many_to_one};
use gridway_lab::gateway::vnets;
use gridway_lab::tools::{Nfcapd, echo_tcp, echo_udp, echo_udp_from};
use gridway_lab::{EchoServer, Gateway, Lab, Ping, Side, wait_until};
use serde_json::Value;

/// Where the collector of a side's node listens: on the WAN, beside the other node.
fn collector(side: Side) -> SocketAddr {
    (side.other().wan(), 4739).into()
}

/// The log of a side's node, to its collector and to a file.
fn logged(side: Side) -> String {
    format!("[flow_log]\nipfix = \"{}\"\njson = \"flows.jsonl\"\n", collector(side))
}

fn file(node: &Gateway) -> PathBuf {
    node.dir().join("flows.jsonl")
}

/// Whole lines of a file that may be written to.
fn lines(path: &Path) -> Vec<FlowLogLine> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Waits until `count` flows have begun, and gives the file's lines.
fn wait_for_starts(path: &Path, count: usize) -> Vec<FlowLogLine> {
    wait_until("lines of flows that began", LIMIT, || {
        let lines = lines(path);
        (lines.iter().filter(|line| line.event == FlowEvent::Start).count() >= count).then_some(lines)
    })
    .unwrap()
}

/// What a line says that does not change with time.
fn timeless(row: &FlowRow) -> FlowRow {
    FlowRow { age_s: 0, idle_s: 0, ..row.clone() }
}

/// The tuples of a flow in the direction it began in: before and after translation.
fn forward(row: &FlowRow) -> [Tuple; 2] {
    let reversed = |tuple: Tuple| Tuple {
        src: tuple.dst,
        dst: tuple.src,
        sport: tuple.dport,
        dport: tuple.sport,
        ..tuple
    };
    match row.started_by {
        Began::Local => [row.local, row.virtual_tuple],
        Began::Overlay => [reversed(row.virtual_tuple), reversed(row.local)],
    }
}

/// The records that nfdump shows of flows that ended: those that have counted something.
fn ends(records: &[Value]) -> Vec<&Value> {
    records.iter().filter(|record| number(record, "in_packets") > 0).collect()
}

fn number(record: &Value, key: &str) -> u64 {
    record[key].as_u64().unwrap_or(0)
}

/// Asserts that nfdump shows a flow as its line has it.
fn assert_shown(records: &[Value], line: &FlowLogLine) {
    let row = &line.flow;
    let [before, after] = forward(row);
    let family = if before.src.is_ipv4() { 4 } else { 6 };
    // Of ICMP it shows a type where others have ports.
    let icmp = [1, 58].contains(&before.proto);
    let is_it = |record: &&&Value| {
        number(record, "proto") == u64::from(before.proto)
            && (icmp || number(record, "src_port") == u64::from(before.sport))
            && record[format!("src{family}_addr")] == before.src.to_string()
    };
    let ends = ends(records);
    let found: Vec<_> = ends.iter().filter(is_it).collect();
    let [record] = found[..] else { panic!("{} records of {line:?}: {records:#?}", found.len()) };
    assert_eq!(record[format!("dst{family}_addr")], before.dst.to_string(), "{record:#}");
    if !icmp {
        assert_eq!(number(record, "dst_port"), u64::from(before.dport), "{record:#}");
    }
    let (sent, answered) = match row.started_by {
        Began::Local => (row.outbound, row.inbound),
        Began::Overlay => (row.inbound, row.outbound),
    };
    let counted = ["in_packets", "in_bytes", "out_packets", "out_bytes"].map(|key| number(record, key));
    assert_eq!(counted, [sent.packets, sent.bytes, answered.packets, answered.bytes], "{record:#}");
    // This nfdump knows no translated addresses of IPv6.
    for (key, address) in [("src", after.src), ("dst", after.dst)] {
        if address.is_ipv4() {
            assert_eq!(record[format!("{key}4_xlt_ip")], address.to_string(), "{record:#}");
        }
    }
    assert_eq!(record["src_xlt_port"], after.sport.to_string(), "{record:#}");
    let flags = record["tcp_flags"].as_str().unwrap_or_default();
    let expected = match row.started_by {
        Began::Local => &row.tcp_flags_out,
        Began::Overlay => &row.tcp_flags_in,
    };
    for (name, letter) in [("SYN", 'S'), ("ACK", 'A'), ("FIN", 'F'), ("RST", 'R'), ("PSH", 'P')] {
        if before.proto == 6 {
            assert_eq!(flags.contains(letter), expected.contains(name), "{expected} {record:#}");
        }
    }
}

/// Every flow began once and ended once.
fn assert_paired(lines: &[FlowLogLine]) {
    let of = |event| {
        let chosen = lines.iter().filter(move |line| line.event == event);
        chosen
            .map(|line| format!("{:?} {} {}", line.flow.local, line.start_ms, line.flow.vnet))
            .collect::<Vec<_>>()
    };
    let (mut starts, mut ends) = (of(FlowEvent::Start), of(FlowEvent::End));
    starts.sort_unstable();
    ends.sort_unstable();
    assert_eq!(starts, ends, "{lines:#?}");
}

fn only(lines: &[FlowLogLine], event: FlowEvent, protocol: u8) -> &FlowLogLine {
    let is_it = |line: &&FlowLogLine| line.event == event && line.flow.local.proto == protocol;
    let found: Vec<_> = lines.iter().filter(is_it).collect();
    let [line] = found[..] else { panic!("{} lines of {protocol}: {lines:#?}", found.len()) };
    line
}

in_both_layouts! {
    fn flows_of_every_kind_are_in_both_logs_as_gridway_flows_shows_them(layout) {
        let mut pair = Pair::with(layout, |side| match side {
            Side::A => vnets::corp(side) + &logged(side) + "[flows]\ntcp_transitory = \"1s\"\n",
            Side::B => vnets::corp(side),
        });
        let nfcapd = Nfcapd::start(pair.lab.gwb(), collector(Side::A)).unwrap();
        let [tcp, udp] = [EchoServer::tcp, EchoServer::udp]
            .map(|start| start(pair.lab.h2(), (Side::B.host(0), 0).into()).unwrap());
        let outside = |server: &EchoServer| (vnets::outside_host(Side::B, 0), server.address().port()).into();
        echo_tcp(pair.lab.h1(), outside(&tcp), &[7; 5000], LIMIT).unwrap();
        for _ in 0..3 {
            echo_udp_from(pair.lab.h1(), 40_000, outside(&udp), b"hello", LIMIT).unwrap();
        }
        let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(4).run(pair.lab.h1()).unwrap();
        assert!(ping.all_answered(), "{ping:?}");

        // TCP was closed and expires; UDP is killed; the ping's flow lives until the node stops.
        let left = wait_until("the end of TCP", LIMIT, || {
            let flows = pair.a.flows().unwrap();
            flows.iter().all(|flow| flow.local.proto != 6).then_some(flows)
        });
        let left = left.unwrap();
        assert_eq!(left.len(), 2, "{left:?}");
        pair.a.cli(&["flows", "kill", "--proto", "udp"]).unwrap();
        let counters = pair.a.counters().unwrap().flow_log;
        assert_eq!((counters.dropped, counters.ipfix_lost, counters.json_lost), (0, 0, 0));
        pair.check_books();
        pair.a.stop().unwrap();
        pair.b.stop().unwrap();

        let lines = lines(&file(&pair.a));
        assert_paired(&lines);
        for (protocol, reason) in
            [(6, FlowEndReason::Closed), (17, FlowEndReason::Killed), (1, FlowEndReason::Stopped)]
        {
            let end = only(&lines, FlowEvent::End, protocol);
            assert_eq!(end.end_reason, Some(reason), "{end:?}");
            assert_eq!((end.node.as_str(), end.flow.vnet.as_str(), end.flow.peer.as_str()), ("gw-a", "corp", "gw-b"));
            assert_eq!(end.flow.acl_line, Some(10));
            assert!(end.end_ms.unwrap() >= end.start_ms);
            if let Some(shown) = left.iter().find(|flow| flow.local.proto == protocol) {
                assert_eq!(timeless(&end.flow), timeless(shown));
            }
        }
        let tcp = &only(&lines, FlowEvent::End, 6).flow;
        assert!(tcp.inbound.bytes > 5000 && tcp.outbound.bytes > 5000, "{tcp:?}");
        assert!(tcp.tcp_flags_out.contains("FIN") && tcp.tcp_flags_in.contains("FIN"), "{tcp:?}");
        assert_eq!(only(&lines, FlowEvent::End, 17).flow.outbound.packets, 3);
        let start = only(&lines, FlowEvent::Start, 1);
        assert_eq!((start.flow.packets, start.end_ms, start.end_reason), (0, None, None));

        let records = nfcapd.stop().unwrap();
        assert_eq!((records.len(), ends(&records).len()), (6, 3), "{records:#?}");
        lines.iter().filter(|line| line.event == FlowEvent::End).for_each(|line| assert_shown(&records, line));
    }

    fn hosts_that_share_an_address_are_told_apart_by_their_translated_ports(layout) {
        let shared = "172.16.9.1/32";
        let mut pair = Pair::built(Lab::builder().hosts(Side::A, 2), layout, |side| match side {
            Side::A => many_to_one(shared)(side),
            Side::B => many_to_one(shared)(side) + &logged(side),
        });
        let nfcapd = Nfcapd::start(pair.lab.gwa(), collector(Side::B)).unwrap();
        let server = EchoServer::udp(pair.lab.h2(), (Side::B.host(0), 0).into()).unwrap();
        let to = (vnets::outside_host(Side::B, 0), server.address().port()).into();
        for host in pair.lab.hosts(Side::A) {
            echo_udp_from(host, 40_000, to, b"hello", LIMIT).unwrap();
        }
        pair.check_books();
        pair.a.stop().unwrap();
        pair.b.stop().unwrap();

        let lines = lines(&file(&pair.b));
        assert_paired(&lines);
        let ended: Vec<_> = lines.iter().filter(|line| line.event == FlowEvent::End).collect();
        let seen: BTreeSet<_> = ended.iter().map(|line| forward(&line.flow)[1]).map(|to| (to.src, to.sport)).collect();
        assert_eq!(seen, server.clients().iter().map(|client| (client.ip(), client.port())).collect());
        let records = nfcapd.stop().unwrap();
        ended.iter().for_each(|line| assert_shown(&records, line));
    }
}

#[test]
fn flows_of_ipv6_are_logged_too() {
    let mut pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => vnets::plain(side) + &logged(side),
        Side::B => vnets::plain(side),
    });
    let nfcapd = Nfcapd::start(pair.lab.gwb(), collector(Side::A)).unwrap();
    let server = EchoServer::udp(pair.lab.h2(), (Side::B.host6(0), 0).into()).unwrap();
    echo_udp(pair.lab.h1(), server.address(), b"hello", LIMIT).unwrap();
    // Refused: a SYN one way, a reset the other.
    echo_tcp(pair.lab.h1(), (Side::B.host6(0), 9).into(), b"hello", LIMIT).unwrap_err();
    pair.check_books();
    pair.a.stop().unwrap();
    pair.b.stop().unwrap();
    let lines = lines(&file(&pair.a));
    assert_paired(&lines);
    let records = nfcapd.stop().unwrap();
    assert_shown(&records, only(&lines, FlowEvent::End, 17));
    let refused = only(&lines, FlowEvent::End, 6);
    assert_eq!((refused.flow.tcp_flags_out.as_str(), refused.flow.tcp_flags_in.as_str()), ("SYN", "ACK,RST"));
    assert_shown(&records, refused);
}

#[test]
fn a_queue_that_is_full_drops_records_and_counts_them() {
    let pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => vnets::corp(side) + &logged(side) + "[limits]\nflow_log = 1\n",
        Side::B => vnets::corp(side),
    });
    let server = EchoServer::udp(pair.lab.h2(), (Side::B.host(0), 0).into()).unwrap();
    let to = (vnets::outside_host(Side::B, 0), server.address().port()).into();
    for port in 40_000..40_100 {
        echo_udp_from(pair.lab.h1(), port, to, b"hello", LIMIT).unwrap();
    }
    wait_until("all records to be taken or dropped", LIMIT, || {
        let counters = pair.a.counters().unwrap();
        (counters.flow_log.records + counters.flow_log.dropped == counters.flows_created).then_some(())
    })
    .unwrap();
    let counters = pair.a.counters().unwrap();
    assert!(counters.flow_log.dropped > 10 && counters.flow_log.records > 0, "{counters:?}");
    let limits = pair.a.limits().unwrap();
    let row = limits.iter().find(|row| row.name == "flow_log").unwrap();
    assert_eq!((row.used, row.limit, row.refused), (0, 1, counters.flow_log.dropped));
    assert_eq!(lines(&file(&pair.a)).len() as u64, counters.flow_log.records);
    pair.finish();
}

#[test]
fn a_collector_that_is_away_disturbs_nothing_and_is_served_when_it_is_back() {
    let pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => vnets::corp(side) + &logged(side),
        // It has no route there.
        Side::B => vnets::corp(side) + "[flow_log]\nipfix = \"[2001:db8:ffff::9]:4739\"\n",
    });
    let server = EchoServer::udp(pair.lab.h2(), (Side::B.host(0), 0).into()).unwrap();
    let to = (vnets::outside_host(Side::B, 0), server.address().port()).into();
    let ask = |port| echo_udp_from(pair.lab.h1(), port, to, b"hello", LIMIT).unwrap();
    let mut ports = 40_000..50_000;
    wait_until("both nodes to notice", LIMIT, || {
        ask(ports.next().unwrap());
        let lost = [&pair.a, &pair.b].map(|node| node.counters().unwrap().flow_log.ipfix_lost);
        lost.iter().all(|lost| *lost > 0).then_some(())
    })
    .unwrap();
    for node in [&pair.a, &pair.b] {
        let said = node.log().unwrap().matches("cannot send the flow log").count();
        assert_eq!(said, 1, "{}", node.log().unwrap());
    }
    let nfcapd = Nfcapd::start(pair.lab.gwb(), collector(Side::A)).unwrap();
    let before = pair.a.counters().unwrap().flow_log.records;
    for _ in 0..3 {
        ask(ports.next().unwrap());
        // One message each: the first may still meet the refusal of what was sent before.
        std::thread::sleep(Duration::from_millis(200));
    }
    let last = ports.start - 1;
    wait_until("the records to be taken", LIMIT, || {
        (pair.a.counters().unwrap().flow_log.records >= before + 3).then_some(())
    })
    .unwrap();
    let records = nfcapd.stop().unwrap();
    let has = records.iter().any(|record| number(record, "src_port") == u64::from(last));
    assert!(has, "templates go ahead once more: {records:#?}");
    pair.finish();
}

#[test]
fn the_log_is_switched_and_its_file_renamed_while_the_node_runs() {
    let mut pair = Pair::corp(Layout::Combined);
    let server = EchoServer::udp(pair.lab.h2(), (Side::B.host(0), 0).into()).unwrap();
    let to = (vnets::outside_host(Side::B, 0), server.address().port()).into();
    let lab = pair.lab.h1().clone();
    let ask = |port| echo_udp_from(&lab, port, to, b"hello", LIMIT).unwrap();
    let (current, renamed) = (file(&pair.a), pair.a.dir().join("flows.jsonl.1"));
    let off = pair.a.config().clone();

    ask(40_000);
    assert!(!current.exists(), "the log is off");
    let on = off.clone().with(&logged(Side::A));
    pair.a.set_config(on).unwrap();
    assert_eq!(pair.a.reload().unwrap(), None);
    ask(40_001);
    wait_for_starts(&current, 1);

    std::fs::rename(&current, &renamed).unwrap();
    ask(40_002);
    let kept = wait_for_starts(&renamed, 2);
    // A reload that changes nothing, and one that is refused, open the file anew.
    assert_eq!(pair.a.reload().unwrap(), None);
    wait_until("a new file", LIMIT, || current.exists().then_some(())).unwrap();
    ask(40_003);
    wait_for_starts(&current, 1);
    std::fs::rename(&current, pair.a.dir().join("flows.jsonl.2")).unwrap();
    pair.a.write_raw_config("nonsense = 1\n").unwrap();
    assert!(pair.a.reload().unwrap().is_some());
    wait_until("a new file", LIMIT, || current.exists().then_some(())).unwrap();
    ask(40_004);
    let starts = wait_for_starts(&current, 1);
    assert_eq!(lines(&renamed), kept, "nobody writes to it any more");
    let ports: Vec<_> = kept.iter().chain(&starts).map(|line| line.flow.local.sport).collect();
    assert_eq!(ports, [40_001, 40_002, 40_004]);

    pair.a.set_config(off).unwrap();
    assert_eq!(pair.a.reload().unwrap(), None);
    ask(40_005);
    pair.a.cli(&["flows", "kill", "--all"]).unwrap();
    assert_eq!(lines(&current), starts, "the log is off again");
    let counters = pair.a.counters().unwrap().flow_log;
    assert_eq!((counters.records, counters.dropped, counters.json_lost), (4, 0, 0));
    pair.finish();
}
