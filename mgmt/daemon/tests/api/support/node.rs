//! A node that only speaks: the real codec, and just enough behind it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use gridway_control::{
    CapturedPacket, ConfigState, ConfigText, Counters, End, EventRow, Events, Failure, FailureKind,
    FlowFilter, Flows, InForce, InboundCounters, Judgement, Killed, LimitRow, OutboundCounters, PacketTrace,
    PeerRow, PeerState, Pending, Ping, Proposal, Reply, Request, RequestBuffer, Sessions, Severity, Side,
    Status, encode_reply,
};

/// What it knows.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) toml: String,
    pub(crate) generation: u64,
    pub(crate) by: String,
    pub(crate) pending: Option<(String, String)>,
    pub(crate) instance: String,
    pub(crate) events: Vec<EventRow>,
    pub(crate) asked: Vec<Request>,
    /// Lists without rows that were given up by their client.
    pub(crate) given_up: u32,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    gone: AtomicBool,
}

/// The node. Ends with it.
pub(crate) struct FakeNode {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl FakeNode {
    pub(crate) fn start(path: &Path) -> Self {
        let state = State {
            toml: "# first\n".into(),
            generation: 1,
            by: "start".into(),
            instance: "one".into(),
            ..State::default()
        };
        let mut node = Self { path: path.to_owned(), shared: Arc::default() };
        *node.shared.state.lock().unwrap() = state;
        node.listen();
        node
    }

    fn listen(&mut self) {
        let listener = UnixListener::bind(&self.path).unwrap();
        let shared = self.shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.gone.load(Ordering::Acquire) {
                    return;
                }
                let shared = shared.clone();
                // A client that goes away is no matter.
                thread::spawn(move || drop(attend(&shared, stream.unwrap())));
            }
        });
    }

    /// Its process ends: nobody listens any more.
    pub(crate) fn go(&mut self) {
        self.leave();
        std::fs::remove_file(&self.path).unwrap();
    }

    fn leave(&self) {
        self.with(|_| self.shared.gone.store(true, Ordering::Release));
        // The listener looks up; it may have gone already.
        drop(UnixStream::connect(&self.path));
    }

    /// It starts again, as another process.
    pub(crate) fn come_back(&mut self) {
        let old = std::mem::take(&mut self.shared);
        let old = std::mem::take(&mut *old.state.lock().unwrap());
        *self.shared.state.lock().unwrap() =
            State { instance: "two".into(), events: Vec::new(), asked: Vec::new(), ..old };
        self.listen();
    }

    pub(crate) fn with<T>(&self, see: impl FnOnce(&mut State) -> T) -> T {
        let value = see(&mut self.shared.state.lock().unwrap());
        self.shared.changed.notify_all();
        value
    }

    pub(crate) fn asked(&self, is: impl Fn(&Request) -> bool) -> bool {
        self.with(|state| state.asked.iter().any(is))
    }

    /// Something happens.
    pub(crate) fn event(&self, severity: Severity, kind: &str) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
        self.with(|state| {
            let number = state.events.len() as u64 + 1;
            state.events.push(EventRow {
                number,
                first_ms: now,
                last_ms: now,
                count: 1,
                severity,
                kind: kind.into(),
                subject: "gw-b".into(),
                message: "so it is".into(),
            });
        });
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.leave();
    }
}

fn attend(shared: &Shared, mut stream: UnixStream) -> std::io::Result<()> {
    let (mut buffer, mut bytes) = (RequestBuffer::default(), [0; 65536]);
    loop {
        while let Some(request) = next(&mut buffer)? {
            shared.state.lock().unwrap().asked.push(request.clone());
            for reply in answers(shared, &request, &mut stream) {
                stream.write_all(&encode_reply(&reply).map_err(std::io::Error::other)?)?;
            }
        }
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            count => buffer.feed(&bytes[..count]),
        }
    }
}

fn next(buffer: &mut RequestBuffer) -> std::io::Result<Option<Request>> {
    let request = buffer.next_request().map_err(std::io::Error::other)?;
    if request.is_none() && buffer.wants_more() {
        buffer.allow_config();
    }
    Ok(request)
}

fn answers(shared: &Shared, request: &Request, stream: &mut UnixStream) -> Vec<Reply> {
    let rows = |row: Reply, count: u64| {
        let rows = std::iter::repeat_n(row, count as usize);
        rows.chain([Reply::End(End { rows: count, missed: 0 })]).collect()
    };
    match request {
        Request::Events { after, wait_ms } => vec![events(shared, *after, *wait_ms)],
        Request::Trace { filter, .. } | Request::Capture { filter, .. }
            if filter.vnet.as_deref() == Some("silent") =>
        {
            // Until the client hangs up.
            assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
            shared.state.lock().unwrap().given_up += 1;
            Vec::new()
        }
        Request::Trace { filter, .. } if filter.vnet.is_some() => {
            vec![failure(FailureKind::NotFound, "there is no such vnet")]
        }
        Request::Trace { count, .. } => rows(Reply::Trace(Box::new(trace())), *count),
        Request::Capture { count, snap, .. } => {
            let packet = CapturedPacket {
                at_us: 1,
                worker: 0,
                from: Side::Local,
                comment: "forwarded to gw-b".into(),
                length: *snap,
                bytes: "45".repeat(*snap as usize),
            };
            rows(Reply::Captured(packet), *count)
        }
        Request::Ping { count, .. } => {
            let row = Ping { sequence: 1, round_trip_us: Some(900), peer: Some("gw-b".into()), error: None };
            rows(Reply::Ping(row), (*count).into())
        }
        other => vec![answer(&mut shared.state.lock().unwrap(), other)],
    }
}

fn events(shared: &Shared, after: u64, wait_ms: u64) -> Reply {
    let has = |state: &State| state.events.iter().any(|row| row.number > after);
    let state = shared.state.lock().unwrap();
    let (state, _) = shared
        .changed
        .wait_timeout_while(state, Duration::from_millis(wait_ms), |state| {
            !has(state) && !shared.gone.load(Ordering::Acquire)
        })
        .unwrap();
    let rows: Vec<EventRow> = state.events.iter().filter(|row| row.number > after).cloned().collect();
    let last = state.events.len() as u64;
    Reply::Events(Events { instance: state.instance.clone(), last, missed: 0, rows })
}

fn failure(kind: FailureKind, message: &str) -> Reply {
    Reply::Error(Failure::new(kind, message))
}

/// As unique as these tests need.
pub(crate) fn digest(toml: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    toml.hash(&mut hasher);
    format!("{:064x}", hasher.finish())
}

fn config_state(state: &State) -> ConfigState {
    let pending = state.pending.as_ref();
    ConfigState {
        digest: digest(&state.toml),
        generation: state.generation,
        since: 1_700_000_000,
        by: state.by.clone(),
        pending: pending.map(|(by, previous)| Pending {
            by: by.clone(),
            left_s: 9,
            previous: digest(previous),
        }),
        saved: pending.is_none(),
    }
}

fn answer(state: &mut State, request: &Request) -> Reply {
    match request {
        Request::Status => Reply::Status(Box::new(status(state))),
        Request::Peers => Reply::Peers(vec![peer()]),
        Request::Routes => Reply::Routes(Vec::new()),
        Request::Nat => Reply::Nat(Vec::new()),
        Request::Acl => Reply::Acl(Vec::new()),
        Request::Connectors => Reply::Connectors(Vec::new()),
        Request::Services => Reply::Services(Vec::new()),
        Request::Connections => Reply::Connections(Vec::new()),
        Request::Counters => Reply::Counters(Box::new(counters())),
        Request::Limits => {
            Reply::Limits(vec![LimitRow { name: "flows".into(), used: 1, limit: 9, refused: 2 }])
        }
        Request::Flows { .. } => Reply::Flows(Flows { matched: 0, rows: Vec::new() }),
        Request::KillFlows { filter } => {
            Reply::Killed(Killed::Flows(if *filter == FlowFilter::default() { 7 } else { 3 }))
        }
        Request::Sessions { .. } => Reply::Sessions(Sessions { matched: 0, rows: Vec::new() }),
        Request::KillSessions { ids } => Reply::Killed(Killed::Sessions(u64::from(ids == &[5]))),
        Request::Config { defaults } => {
            Reply::Config(ConfigText { toml: format!("# defaults: {defaults}\n") })
        }
        Request::ConfigState => Reply::ConfigState(config_state(state)),
        Request::InForce => Reply::InForce(InForce { toml: state.toml.clone(), state: config_state(state) }),
        Request::Judge { toml } => Reply::Judgement(Judgement {
            errors: Vec::new(),
            warnings: Vec::new(),
            diff: format!("{} bytes", toml.len()),
        }),
        Request::Apply(Proposal { toml, .. }) if toml.contains("wrong") => {
            failure(FailureKind::Invalid, "node.toml:1: it is wrong")
        }
        Request::Apply(_) if state.pending.is_some() => {
            failure(FailureKind::Conflict, "another change is pending")
        }
        Request::Apply(proposal) => {
            let by = proposal.by.clone().unwrap();
            let previous = std::mem::replace(&mut state.toml, proposal.toml.clone());
            state.pending = proposal.confirm_within_s.map(|_| (by.clone(), previous));
            (state.by, state.generation) = (by, state.generation + 1);
            Reply::ConfigState(config_state(state))
        }
        Request::Confirm { .. } | Request::Rollback { .. } if state.pending.is_none() => {
            failure(FailureKind::Conflict, "no change is pending")
        }
        Request::Confirm { digest: Some(meant), .. } | Request::Rollback { digest: Some(meant), .. }
            if *meant != digest(&state.toml) =>
        {
            failure(FailureKind::Conflict, "another configuration is in force")
        }
        Request::Confirm { .. } => {
            state.pending = None;
            Reply::ConfigState(config_state(state))
        }
        Request::Rollback { by, .. } => {
            (_, state.toml) = state.pending.take().unwrap();
            (state.by, state.generation) = (by.clone().unwrap(), state.generation + 1);
            Reply::ConfigState(config_state(state))
        }
        Request::Simulate(_) => Reply::Trace(Box::new(trace())),
        _ => failure(FailureKind::NotFound, "not here"),
    }
}

fn trace() -> PacketTrace {
    PacketTrace {
        at_us: 1,
        worker: 0,
        from: Side::Local,
        length: 60,
        tuple: None,
        translated: None,
        steps: Vec::new(),
        verdict: "dropped".into(),
        reason: Some("no_vnet".into()),
        answer: None,
    }
}

fn peer() -> PeerRow {
    PeerRow {
        name: "gw-b".into(),
        state: PeerState::Up,
        reason: None,
        rtt_us: Some(1234),
        connections: 1,
        stream_connections: 0,
        tx_bytes: 5,
        rx_bytes: 6,
        tx_packets: 1,
        rx_packets: 1,
        instance: None,
        version: None,
        address: None,
        since_s: 1,
    }
}

fn counters() -> Counters {
    let drops = [("no_vnet".to_owned(), 2), ("acl_deny".to_owned(), 0)];
    let outbound =
        OutboundCounters { rx_packets: 10, tunnelled: 8, drops: drops.into(), ..OutboundCounters::default() };
    Counters::from_directions(outbound, InboundCounters::default())
}

fn status(state: &State) -> Status {
    Status {
        node: "gw-a".into(),
        domain: "lab.example".into(),
        role: "gateway".into(),
        version: "0.1.0".into(),
        pid: 1,
        uptime_s: 1,
        data: None,
        management: "wan0".into(),
        listen: None,
        workers: Vec::new(),
        policy_generation: state.generation,
        flows: 0,
        flows_limit: 9,
        peers: 1,
        peers_up: 1,
        vnets: 0,
        last_reload_error: None,
        config: config_state(state),
    }
}
