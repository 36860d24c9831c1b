//! Start-up: everything that needs privileges, in order, then the threads.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail};
use arc_swap::ArcSwap;
use crossbeam::channel::{Receiver, unbounded};
use crossbeam::queue::ArrayQueue;
use gridway_config::{Config, Data, Rings};
use gridway_forwarding::flow::FlowTable;
use gridway_forwarding::fragments::Fragments;
use gridway_forwarding::policy::Policy;
use gridway_forwarding::throttle::Throttle;
use gridway_forwarding::{Peers, Registry};
use gridway_netlink::{Watcher, segmentation};
use gridway_proxy::{Plan, SessionBook};
use gridway_steer::Steer;
use gridway_xsk::{Pages, Port, PortOptions, RingMode, SegmentSocket};
use mio::{Poll, Waker};

use crate::book::Book;
use crate::change::{Ask, Changes, Desk, InForce, Opened};
use crate::clock::Clock;
use crate::doors::{self, OpenDoors};
use crate::events::Events;
use crate::flow_log::{self, FlowLog};
use crate::handshakes::{self, Handshakes};
use crate::layout::{self, Part};
use crate::node::{DataPort, HandshakeCounters, Node, PortNumbers, WorkerHandle};
use crate::pool::Pools;
use crate::sleep_time::SleepTime;
use crate::steering::Steering;
use crate::watch::Watch;
use crate::{checks, control, neighbours, reload, socket, worker};

/// Chunks for received records: enough for a burst on every connection that is busy at once.
const CHUNKS: usize = 64;
/// Bytes that the kernel and XDP keep in front of a packet, plus Ethernet and VLAN headers: an IP
/// packet must fit a frame beside them.
const FRAME_OVERHEAD: u32 = 256 + 18;

/// A node that runs.
pub(crate) struct Running {
    pub(crate) node: Arc<Node>,
    pub(crate) changes: Changes,
    pub(crate) workers: Vec<JoinHandle<()>>,
    pub(crate) others: Vec<JoinHandle<()>>,
    pub(crate) flow_log: JoinHandle<()>,
    pub(crate) handshake_waker: Arc<Waker>,
    pub(crate) doors: doors::Keeper,
    /// What control clients ask of the main thread.
    pub(crate) asks: Receiver<Ask>,
}

/// What the data NIC gave.
struct DataSide {
    steer: Steer,
    steering: Steering,
    watcher: Watcher,
    ports: Vec<Option<worker::DataSockets>>,
    port: DataPort,
}

/// Starts the node that `file`, which was opened, describes.
pub(crate) fn start(opened: Opened, file: PathBuf) -> Result<Running> {
    let config = opened.config.clone();
    checks::machine(&config)?;
    let clock = Clock::start();
    let credentials = gridway_checks::read_credentials(&config)?;
    let mut registry = Registry::default();
    let config = Arc::new(config);
    let policy = Arc::new(Policy::compile(&config, &mut registry, None)?);
    let peers_configured = reload::numbered_peers(&config, &mut registry)?;

    let control = gridway_control::bind_socket(&config.control.socket)?;
    let device = config.management.interface.as_str();
    let listener = match config.tunnel.listen {
        Some(address) => Some(
            socket::listen(address, device)
                .with_context(|| format!("tunnel.listen = \"{address}\" on {device}"))?,
        ),
        None => None,
    };

    let available: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    let available = if available.is_empty() { vec![0] } else { available };
    let queues =
        config.data.as_ref().map_or(0, |data| gridway_checks::receive_queues(data.interface.as_str()));
    let mut parts = layout::divide(&config.workers, &available, queues);
    if config.data.is_none() {
        parts.iter_mut().for_each(|part| part.queues.clear());
    }
    let data = match &config.data {
        Some(data) => Some(open_data(&config, data, &parts, &policy)?),
        None => None,
    };

    let mut seed = [0; 16];
    let mut instance = [0; 16];
    let random = |bytes: &mut [u8]| {
        aws_lc_rs::rand::fill(bytes).map_err(|_| anyhow!("the kernel gives no random numbers"))
    };
    random(&mut seed)?;
    random(&mut instance)?;
    let (low, high) = seed.split_at(8);
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("half of sixteen bytes"));

    let records = config.limits.records as usize;
    let (handles, starts) = make_workers(&parts, records)?;
    let (steer, steering, watcher, ports, port) = match data {
        Some(data) => {
            (Some(data.steer), Some(data.steering), Some(data.watcher), data.ports, Some(data.port))
        }
        None => (None, None, None, parts.iter().map(|_| None).collect(), None),
    };
    let next_hops = watcher.as_ref().map(|watcher| neighbours::next_hops(&watcher.snapshot()));
    let next_hops = next_hops.unwrap_or_default();
    if let Some(own) = reload::shared_own_address(&policy, &next_hops) {
        bail!("{own}");
    }
    let flows = FlowTable::new(config.limits.flows as usize, [word(low), word(high)])
        .with_journal(config.limits.flow_log as usize);
    let (flow_log, orders) = FlowLog::new();
    let peers = Arc::new(Peers::default());
    let version = opened.into_version(config.clone(), "start", clock.unix_now());
    let (desk, asks) = Desk::open();
    let events = Arc::new(Events::new(clock, instance));
    let node = Arc::new(Node {
        clock,
        instance,
        credentials: ArcSwap::from_pointee(credentials),
        policy: Arc::new(ArcSwap::new(policy.clone())),
        retired: Mutex::default(),
        flows: Arc::new(flows),
        flow_log,
        book: Book::new(peers.clone(), events.clone()),
        events,
        fragments: Arc::new(Fragments::new(config.limits.fragments as usize)),
        monitors: Arc::default(),
        pings: Arc::default(),
        watch: Watch::default(),
        egress: Throttle::default(),
        ingress: Throttle::default(),
        peers,
        pools: Pools::new(records, CHUNKS),
        next_hops: Arc::new(ArcSwap::from_pointee(next_hops)),
        resolver: watcher.as_ref().map(Watcher::requests),
        steer: steer.map(Mutex::new),
        steering,
        data: port,
        workers: handles,
        stopping: AtomicBool::new(false),
        last_reload_error: Mutex::default(),
        in_force: ArcSwap::from_pointee(InForce::of_file(version, &file)),
        desk,
        file,
        handshakes: HandshakeCounters::default(),
        plan: ArcSwap::from_pointee(Plan::new(config.clone())),
        doors: OpenDoors::default(),
        sessions: Arc::new(SessionBook::new(config.limits.sessions.into())),
        config: ArcSwap::new(config.clone()),
    });
    node.book.configure(peers_configured, clock.now());
    node.flow_log.configure(node.flows.journal(), config.flow_log.clone());
    node.apply(config, policy);

    checks::raise_descriptors(node.config.load().limits.sessions);
    checks::drop_privileges()?;
    let changes = Changes::new(&node, registry);
    let shared = node.clone();
    let flow_log = spawn(&node, "flow-log".to_owned(), move || {
        flow_log::run(&shared, &orders);
        Ok(())
    })?;
    let starts = starts.into_iter().zip(ports);
    spawn_all(node, (changes, asks), starts, listener, control, watcher, flow_log)
}

fn open_data(config: &Config, data: &Data, parts: &[Part], policy: &Policy) -> Result<DataSide> {
    let interface = data.interface.as_str();
    // The addresses are known before the first packet is steered.
    let watcher = Watcher::open(interface).with_context(|| format!("data.interface = \"{interface}\""))?;
    let (mut steer, hooks) = Steer::load(interface)?;
    steer.set_own_addresses(&neighbours::own_addresses(&watcher.snapshot()))?;
    steer.set_proxied(&policy.proxied())?;
    steer.set_deny(&data.deny)?;
    let steering = Steering::attach(hooks, config, data)?;

    let (mtu, limits) = (steer.mtu(), segmentation(interface)?);
    let mut ports = Vec::new();
    let (mut ring_mode, mut pages, mut alone) = (RingMode::Copy, Pages::Normal, None);
    for part in parts {
        if part.queues.is_empty() {
            ports.push(None);
            continue;
        }
        let options = PortOptions {
            rings: match data.rings {
                Rings::Auto => gridway_xsk::Rings::Auto,
                Rings::ZeroCopy => gridway_xsk::Rings::ZeroCopy,
                Rings::Copy => gridway_xsk::Rings::Copy,
            },
            frame_size: if mtu + FRAME_OVERHEAD <= 2048 { 2048 } else { 4096 },
            ..PortOptions::new(interface, part.queues.clone())
        };
        let port = Port::open(&options)?;
        for queue in port.queues() {
            steer.register_socket(queue.id, queue.as_fd())?;
        }
        (ring_mode, pages) = (port.mode(), port.pages());
        // Where the NIC takes frames from memory itself the ring is the shorter way.
        let segments = match ring_mode {
            RingMode::Copy => match SegmentSocket::open(interface) {
                Ok(socket) => Some((socket, limits)),
                Err(error) => {
                    alone = Some(format!("cannot open a packet socket: {error}"));
                    None
                }
            },
            RingMode::ZeroCopy => None,
        };
        ports.push(Some(worker::DataSockets { port, segments }));
    }
    let port = DataPort {
        interface: interface.to_owned(),
        segments_alone: alone,
        ring_mode: match ring_mode {
            RingMode::ZeroCopy => "zero-copy".to_owned(),
            RingMode::Copy => "copy".to_owned(),
        },
        pages: match pages {
            Pages::Huge => "huge".to_owned(),
            Pages::Normal => "normal".to_owned(),
        },
        mac: steer.mac(),
        mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
        queues: parts.iter().map(|part| part.queues.len() as u32).sum(),
    };
    Ok(DataSide { steer, steering, watcher, ports, port })
}

type WorkerStart = (Poll, crossbeam::channel::Receiver<crate::node::Control>);

fn make_workers(parts: &[Part], records: usize) -> Result<(Vec<WorkerHandle>, Vec<WorkerStart>)> {
    let (mut handles, mut starts) = (Vec::new(), Vec::new());
    for part in parts {
        let poll = Poll::new().context("cannot create a poll")?;
        let (sender, receiver) = unbounded();
        handles.push(WorkerHandle {
            cpu: part.cpu,
            has_queues: !part.queues.is_empty(),
            has_tunnels: part.tunnels,
            records: ArrayQueue::new(records),
            chunks: ArrayQueue::new(CHUNKS),
            control: sender,
            waker: Waker::new(poll.registry(), worker::WAKER_TOKEN).context("cannot create a waker")?,
            sleeping: AtomicBool::new(false),
            slept: SleepTime::default(),
            load_permille: AtomicU32::new(0),
            turns: AtomicU64::new(0),
            counters: Arc::default(),
            port: PortNumbers::default(),
        });
        starts.push((poll, receiver));
    }
    Ok((handles, starts))
}

fn spawn_all(
    node: Arc<Node>,
    (changes, asks): (Changes, Receiver<Ask>),
    starts: impl Iterator<Item = (WorkerStart, Option<worker::DataSockets>)>,
    listener: Option<mio::net::TcpListener>,
    control: UnixListener,
    watcher: Option<Watcher>,
    flow_log: JoinHandle<()>,
) -> Result<Running> {
    let mut workers = Vec::new();
    for (index, ((poll, receiver), port)) in starts.enumerate() {
        let (shared, start) = (node.clone(), worker::Start { index, poll, control: receiver, port });
        workers.push(spawn(&node, format!("worker-{index}"), move || worker::run(shared, start))?);
    }
    let poll = Poll::new().context("cannot create a poll")?;
    let waker = Arc::new(Waker::new(poll.registry(), handshakes::WAKER).context("cannot create a waker")?);
    let thread = Handshakes::new(node.clone(), poll, listener, waker.clone()).context("cannot listen")?;
    let mut others = vec![spawn(&node, "handshakes".to_owned(), move || thread.run())?];
    if let Some(watcher) = watcher {
        let shared = node.clone();
        others.push(spawn(&node, "neighbours".to_owned(), move || neighbours::run(&shared, watcher))?);
    }
    let shared = node.clone();
    // Ends with the process: it waits for clients, and holds nothing that must be put in order.
    spawn(&node, "control".to_owned(), move || {
        control::serve(&shared, &control);
        Ok(())
    })?;
    let doors = doors::Keeper::open(node.data.as_ref().map(|data| data.interface.as_str()))?;
    Ok(Running { node, changes, workers, others, flow_log, handshake_waker: waker, doors, asks })
}

/// Starts a thread whose failure stops the node: half a node would only look alive.
fn spawn(
    node: &Arc<Node>,
    name: String,
    body: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<JoinHandle<()>> {
    let node = node.clone();
    let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::error!(%error, "thread {name} failed"),
            Err(_) => tracing::error!("thread {name} panicked"),
        }
        node.fail();
    });
    thread.context("cannot start a thread")
}

/// Removes the control socket at the end.
pub(crate) fn remove_socket(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, "cannot remove {}", path.display());
    }
}
