//! An independent decoder reads what was written.

use std::net::IpAddr;
use std::time::Duration;

use gridway_ipfix::{
    EndReason, Event, Exporter, Flow, MAX_MESSAGE, Moment, TEMPLATE_INTERVAL, Template, Traffic,
};
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;
use netflow_parser::variable_versions::field_value::{DataNumber, DurationValue, FieldValue};
use netflow_parser::variable_versions::ipfix::FlowSetBody;
use netflow_parser::variable_versions::ipfix::lookup::IPFixField;
use netflow_parser::{NetflowPacket, NetflowParser};
use proptest::prelude::*;

const AT: Moment = Moment { now: Nanos(5), unix_s: 1_700_000_000 };

/// What a test keeps of a [`Flow`] without borrowing.
#[derive(Clone, Debug)]
struct Kept {
    event: Event,
    tuples: [FiveTuple; 2],
    traffic: [Traffic; 2],
    times: [u64; 2],
    names: [String; 2],
}

impl Kept {
    fn flow(&self) -> Flow<'_> {
        Flow {
            event: self.event,
            tuple: self.tuples[0],
            translated: self.tuples[1],
            forward: self.traffic[0],
            reverse: self.traffic[1],
            start_ms: self.times[0],
            end_ms: self.times[1],
            vnet: &self.names[0],
            peer: &self.names[1],
        }
    }

    /// The fields of its record.
    fn fields(&self) -> Vec<(IPFixField, String)> {
        let (v6, [tuple, translated]) = (self.tuples[0].source.is_ipv6(), self.tuples);
        let icmp = tuple.protocol.is_icmp();
        let port = |port: u16| if icmp { 0 } else { port };
        let pick = |v4, of_v6| if v6 { of_v6 } else { v4 };
        let mut fields = vec![
            (0, 233, if self.event == Event::Start { "1" } else { "2" }.to_owned()),
            (0, 239, "1".to_owned()),
            (0, 4, tuple.protocol.0.to_string()),
            (0, pick(8, 27), tuple.source.to_string()),
            (0, pick(12, 28), tuple.destination.to_string()),
            (0, 7, tuple.source_port.to_string()),
            (0, 11, port(tuple.destination_port).to_string()),
            (0, pick(225, 281), translated.source.to_string()),
            (0, pick(226, 282), translated.destination.to_string()),
            (0, 227, translated.source_port.to_string()),
            (0, 228, port(translated.destination_port).to_string()),
            (0, 152, self.times[0].to_string()),
            (0, 153, self.times[1].to_string()),
            (0, 236, self.names[0].clone()),
            (0, 82, self.names[1].clone()),
        ];
        if let Event::End(reason) = self.event {
            let [forward, reverse] = self.traffic;
            fields.extend([
                (0, 136, (reason as u8).to_string()),
                (29_305, 1, reverse.bytes.to_string()),
                (29_305, 2, reverse.packets.to_string()),
                (29_305, 6, reverse.tcp_flags.0.to_string()),
                (0, 1, forward.bytes.to_string()),
                (0, 2, forward.packets.to_string()),
                (0, 6, forward.tcp_flags.0.to_string()),
            ]);
        }
        fields.into_iter().map(|(enterprise, number, text)| (element(enterprise, number), text)).collect()
    }
}

fn value(value: &FieldValue) -> String {
    match value {
        FieldValue::String(text) => text.value.clone(),
        FieldValue::Ip4Addr(address) => address.to_string(),
        FieldValue::Ip6Addr(address) => address.to_string(),
        FieldValue::Duration(DurationValue::Millis { value, width: 8 }) => value.to_string(),
        FieldValue::DataNumber(DataNumber::U8(number)) => number.to_string(),
        FieldValue::DataNumber(DataNumber::U16(number)) => number.to_string(),
        FieldValue::DataNumber(DataNumber::U64(number)) => number.to_string(),
        FieldValue::ProtocolType(protocol) => u8::from(*protocol).to_string(),
        FieldValue::TcpControlBits(bits, 2) => u16::from(*bits).to_string(),
        FieldValue::FirewallEvent(event) => u8::from(*event).to_string(),
        FieldValue::FlowEndReason(reason) => u8::from(*reason).to_string(),
        other => panic!("{other:?}"),
    }
}

fn element(enterprise: u32, number: u16) -> IPFixField {
    IPFixField::new(number, (enterprise != 0).then_some(enterprise))
}

/// A collector: every message must be whole and in sequence.
#[derive(Default)]
struct Collector {
    parser: NetflowParser,
    records: Vec<Vec<(IPFixField, String)>>,
    templates: usize,
}

impl Collector {
    fn receive(&mut self, message: &[u8], records: u32) {
        assert!(message.len() <= MAX_MESSAGE, "{} bytes", message.len());
        let result = self.parser.parse_bytes(message);
        assert!(result.error.is_none(), "{:?}", result.error);
        let [NetflowPacket::IPFix(parsed)] = &result.packets[..] else { panic!("{result:?}") };
        assert_eq!(usize::from(parsed.header.length), message.len());
        assert_eq!(parsed.header.sequence_number as usize, self.records.len());
        assert_eq!((parsed.header.observation_domain_id, parsed.header.export_time), (7, AT.unix_s));
        let before = self.records.len();
        for set in &parsed.flowsets {
            match &set.body {
                FlowSetBody::Templates(templates) => self.templates += templates.len(),
                FlowSetBody::Data(data) => {
                    assert_eq!(data.padding, Vec::<u8>::new());
                    for record in &data.fields {
                        let fields = record.iter().map(|(field, content)| (*field, value(content)));
                        self.records.push(fields.collect());
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(self.records.len() - before, records as usize);
    }
}

fn tuple(v6: bool) -> impl Strategy<Value = [FiveTuple; 2]> {
    let address = move || {
        any::<[u8; 16]>().prop_map(move |bytes| match v6 {
            true => IpAddr::from(bytes),
            false => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
        })
    };
    let protocol =
        prop_oneof![Just(Protocol::TCP), Just(Protocol::ICMP), Just(Protocol::ICMPV6), Just(Protocol::UDP)];
    let one = move || (address(), address(), any::<[u16; 2]>());
    (one(), one(), protocol).prop_map(|(a, b, protocol)| {
        [a, b].map(|(source, destination, [source_port, destination_port])| FiveTuple {
            source,
            destination,
            protocol,
            source_port,
            destination_port,
        })
    })
}

fn kept() -> impl Strategy<Value = Kept> {
    let reason = prop_oneof![
        Just(EndReason::IdleTimeout),
        Just(EndReason::EndOfFlow),
        Just(EndReason::ForcedEnd),
        Just(EndReason::LackOfResources),
    ];
    let event = prop_oneof![Just(Event::Start), reason.prop_map(Event::End)];
    let traffic = || {
        any::<(u64, u64, u8)>().prop_map(|(packets, bytes, flags)| Traffic {
            packets,
            bytes,
            tcp_flags: TcpFlags(flags),
        })
    };
    let name = "[a-z0-9][a-z0-9-]{0,62}";
    (event, prop_oneof![tuple(true), tuple(false)], [traffic(), traffic()], any::<[u64; 2]>(), [name, name])
        .prop_map(|(event, tuples, traffic, times, names)| Kept { event, tuples, traffic, times, names })
}

proptest! {
    #[test]
    fn a_decoder_reads_every_field_of_every_flow(flows in proptest::collection::vec(kept(), 1..60)) {
        let (mut exporter, mut collector) = (Exporter::new(7), Collector::default());
        let mut send = |message: &[u8], records| collector.receive(message, records);
        flows.iter().for_each(|flow| exporter.push(&flow.flow(), AT, &mut send));
        exporter.flush(AT, &mut send);
        exporter.flush(AT, &mut send);
        let expected: Vec<_> = flows.iter().map(Kept::fields).collect();
        prop_assert_eq!(collector.records, expected);
        prop_assert_eq!(collector.templates, Template::ALL.len());
    }
}

fn sample() -> Kept {
    let tuple = FiveTuple {
        source: [10, 1, 0, 2].into(),
        destination: [172, 16, 2, 2].into(),
        protocol: Protocol::TCP,
        source_port: 40_000,
        destination_port: 443,
    };
    Kept {
        event: Event::Start,
        tuples: [tuple; 2],
        traffic: [Traffic::default(); 2],
        times: [1, 2],
        names: ["corp".to_owned(), "gw-b".to_owned()],
    }
}

#[test]
fn templates_are_repeated_when_they_are_due_and_when_that_is_asked_for() {
    let (mut exporter, mut templates) = (Exporter::new(7), Vec::new());
    let flow = sample();
    let half = TEMPLATE_INTERVAL / 2;
    let mut at = AT;
    for step in 0..6 {
        if step == 5 {
            exporter.repeat_templates();
        }
        exporter.push(&flow.flow(), at, &mut |_, _| panic!("there is room"));
        // The id of the first set of the message: 2 is that of templates.
        exporter.flush(at, &mut |message, _| templates.push(message[16..18] == [0, 2]));
        at.now = at.now + half;
    }
    assert_eq!(templates, [true, false, true, false, true, true]);
    at.now = at.now + Duration::from_secs(1);
    exporter.push(&flow.flow(), at, &mut |_, _| panic!("there is room"));
    exporter.flush(at, &mut |message, _| assert_eq!(message[16..18], Template::StartV4.id().to_be_bytes()));
}

#[test]
fn a_name_that_is_too_long_is_cut_between_characters() {
    let (mut exporter, mut collector) = (Exporter::new(7), Collector::default());
    let flow = Kept { names: ["ä".repeat(300), "x".repeat(300)], ..sample() };
    let mut send = |message: &[u8], records| collector.receive(message, records);
    exporter.push(&flow.flow(), AT, &mut send);
    exporter.flush(AT, &mut send);
    let name = |number| {
        let field = collector.records[0].iter().find(|(field, _)| *field == element(0, number));
        field.unwrap().1.chars().count()
    };
    assert_eq!((name(236), name(82)), (127, 254));
}

#[test]
fn nothing_is_sent_while_there_is_nothing_to_send() {
    Exporter::new(7).flush(AT, &mut |_, _| panic!("an empty message"));
}
