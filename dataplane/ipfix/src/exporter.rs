//! From flows to messages (RFC 7011, 3).

use std::time::Duration;

use gridway_wire::time::Nanos;

use crate::flow::Flow;
use crate::template::{TEMPLATES, Template};

/// Longest message in bytes: with IPv6 and UDP headers it fits an Ethernet packet and leaves room for a tunnel.
pub const MAX_MESSAGE: usize = 1400;
/// How often templates are repeated.
pub const TEMPLATE_INTERVAL: Duration = Duration::from_secs(30);

const VERSION: u16 = 10;
const HEADER: usize = 16;
const SET_HEADER: usize = 4;

/// A reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For intervals.
    pub now: Nanos,
    /// Seconds of the Unix epoch, for the export time.
    pub unix_s: u32,
}

/// One transport session of one observation domain.
#[derive(Debug)]
pub struct Exporter {
    domain: u32,
    /// Data records in messages that were given away.
    sequence: u32,
    templates_sent: Option<Nanos>,
    /// The message that is being written; empty or with its header's place.
    message: Vec<u8>,
    /// Set that is being written: its id and where it begins.
    set: Option<(u16, usize)>,
    /// Data records in the message.
    records: u32,
    record: Vec<u8>,
}

impl Exporter {
    /// The exporter of an observation domain; another one begins a new sequence.
    #[must_use]
    pub fn new(domain: u32) -> Self {
        Self {
            domain,
            sequence: 0,
            templates_sent: None,
            message: Vec::with_capacity(MAX_MESSAGE),
            set: None,
            records: 0,
            record: Vec::new(),
        }
    }

    /// Has the templates go ahead of the next message.
    pub fn repeat_templates(&mut self) {
        self.templates_sent = None;
    }

    /// Adds a flow to the message. `send` is given a message that has no room for it, with the number of its records.
    pub fn push(&mut self, flow: &Flow<'_>, at: Moment, send: &mut dyn FnMut(&[u8], u32)) {
        let template = Template::of(flow);
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        template.items().for_each(|item| item.write(flow, &mut record));
        if self.message.len() + SET_HEADER + record.len() > MAX_MESSAGE {
            self.flush(at, send);
        }
        if self.message.is_empty() {
            self.begin(at);
        }
        if self.set.is_none_or(|(id, _)| id != template.id()) {
            self.open_set(template.id());
        }
        self.message.extend_from_slice(&record);
        self.records += 1;
        self.record = record;
    }

    /// Gives away the message that is being written, if it has any record.
    pub fn flush(&mut self, at: Moment, send: &mut dyn FnMut(&[u8], u32)) {
        if self.records == 0 {
            return;
        }
        self.close_set();
        let length = u16::try_from(self.message.len()).expect("messages are at most 1,400 bytes");
        let header = [
            &VERSION.to_be_bytes()[..],
            &length.to_be_bytes(),
            &at.unix_s.to_be_bytes(),
            &self.sequence.to_be_bytes(),
            &self.domain.to_be_bytes(),
        ];
        self.message[..HEADER].copy_from_slice(&header.concat());
        send(&self.message, self.records);
        self.sequence = self.sequence.wrapping_add(self.records);
        self.message.clear();
        self.records = 0;
    }

    fn begin(&mut self, at: Moment) {
        self.message.resize(HEADER, 0);
        if self.templates_sent.is_none_or(|sent| at.now.since(sent) >= TEMPLATE_INTERVAL) {
            self.templates_sent = Some(at.now);
            self.open_set(TEMPLATES);
            Template::ALL.iter().for_each(|template| template.specify(&mut self.message));
        }
    }

    fn open_set(&mut self, id: u16) {
        self.close_set();
        self.set = Some((id, self.message.len()));
        self.message.extend_from_slice(&id.to_be_bytes());
        self.message.extend_from_slice(&[0; 2]);
    }

    fn close_set(&mut self) {
        if let Some((_, start)) = self.set.take() {
            let length = u16::try_from(self.message.len() - start).expect("a set fits its message");
            self.message[start + 2..start + SET_HEADER].copy_from_slice(&length.to_be_bytes());
        }
    }
}
