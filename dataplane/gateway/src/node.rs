//! What all threads of a node share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use crossbeam::channel::Sender;
use crossbeam::queue::ArrayQueue;
use gridway_config::Config;
use gridway_forwarding::flow::FlowTable;
use gridway_forwarding::fragments::Fragments;
use gridway_forwarding::monitor::Monitors;
use gridway_forwarding::next_hop::NextHops;
use gridway_forwarding::pings::Pings;
use gridway_forwarding::policy::Policy;
use gridway_forwarding::throttle::Throttle;
use gridway_forwarding::{Counters, PeerId, Peers, Shared, Tunnel, VnetId};
use gridway_netlink::Resolver;
use gridway_proxy::{Listener, Plan, SessionBook};
use gridway_steer::{AttachedMode, Steer};
use gridway_tunnel::{ConnectionId, Credentials, RecordBuffer};
use gridway_wire::frame::{self, CloseReason};

use crate::book::Book;
use crate::change::{Desk, InForce};
use crate::clock::Clock;
use crate::doors::OpenDoors;
use crate::events::Events;
use crate::flow_log::FlowLog;
use crate::link::Link;
use crate::pool::{Chunk, Pools};
use crate::sleep_time::SleepTime;
use crate::steering::Steering;
use crate::watch::Watch;
use crate::worker::connection::{Connection, NewConnection};
use crate::worker::survey::Surveyed;

/// State that outlives a reload, reachable from every thread.
pub(crate) struct Node {
    pub(crate) clock: Clock,
    /// Random id of this process, in every hello.
    pub(crate) instance: [u8; 16],
    /// What happened, for operators.
    pub(crate) events: Arc<Events>,
    pub(crate) config: ArcSwap<Config>,
    pub(crate) credentials: ArcSwap<Credentials>,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    /// Policies that workers may still hold. Whoever gives one up last frees it, which takes long when it is
    /// large: a worker must not be the last.
    pub(crate) retired: Mutex<Vec<Arc<Policy>>>,
    pub(crate) flows: Arc<FlowTable>,
    pub(crate) flow_log: FlowLog,
    pub(crate) fragments: Arc<Fragments>,
    pub(crate) monitors: Arc<Monitors>,
    pub(crate) pings: Arc<Pings>,
    /// Traces and captures under way.
    pub(crate) watch: Watch,
    /// Rate limits towards and from the tunnels.
    pub(crate) egress: Throttle,
    pub(crate) ingress: Throttle,
    pub(crate) peers: Arc<Peers>,
    pub(crate) book: Book,
    pub(crate) pools: Pools,
    pub(crate) next_hops: Arc<ArcSwap<NextHops>>,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) steer: Option<Mutex<Steer>>,
    pub(crate) steering: Option<Steering>,
    pub(crate) data: Option<DataPort>,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) stopping: AtomicBool,
    pub(crate) last_reload_error: Mutex<Option<String>>,
    /// The configuration as it was given, and how it came here.
    pub(crate) in_force: ArcSwap<InForce>,
    /// The node's file, absolute.
    pub(crate) file: PathBuf,
    /// The way to the main thread, which changes it.
    pub(crate) desk: Desk,
    pub(crate) handshakes: HandshakeCounters,
    /// Layer 4: what is configured, and what goes on.
    pub(crate) plan: ArcSwap<Plan>,
    pub(crate) sessions: Arc<SessionBook>,
    pub(crate) doors: OpenDoors,
}

/// The data NIC as it was opened.
#[derive(Clone, Debug)]
pub(crate) struct DataPort {
    pub(crate) interface: String,
    pub(crate) ring_mode: String,
    pub(crate) pages: String,
    /// Why segments for local hosts go one by one although the rings copy, if they do.
    pub(crate) segments_alone: Option<String>,
    pub(crate) mac: [u8; 6],
    pub(crate) mtu: u16,
    pub(crate) queues: u32,
}

/// Numbers of the handshake thread.
#[derive(Debug, Default)]
pub(crate) struct HandshakeCounters {
    pub(crate) running: AtomicU64,
    pub(crate) refused: AtomicU64,
}

/// The way to one worker.
pub(crate) struct WorkerHandle {
    pub(crate) cpu: usize,
    pub(crate) has_queues: bool,
    pub(crate) has_tunnels: bool,
    /// Records of other workers' packets for connections that this one owns.
    pub(crate) records: ArrayQueue<(Arc<Link>, RecordBuffer)>,
    /// Opened chunks that this worker delivers.
    pub(crate) chunks: ArrayQueue<(Arc<Link>, Chunk)>,
    /// Everything that is rare.
    pub(crate) control: Sender<Control>,
    pub(crate) waker: mio::Waker,
    pub(crate) sleeping: AtomicBool,
    pub(crate) slept: SleepTime,
    /// Share of the last second that it was awake, in thousandths.
    pub(crate) load_permille: AtomicU32,
    /// Grows with every tick of the worker's loop, awake or not: one that stands still is stuck.
    pub(crate) turns: AtomicU64,
    pub(crate) counters: Arc<Counters>,
    pub(crate) port: PortNumbers,
}

/// What a worker's port says of itself, published now and then.
#[derive(Debug, Default)]
pub(crate) struct PortNumbers {
    /// Packets the kernel dropped because the ring was full.
    pub(crate) ring_full: AtomicU64,
    /// Packets the kernel dropped for want of a frame, or because they did not fit.
    pub(crate) no_frame: AtomicU64,
    /// Packets that wait for a neighbour.
    pub(crate) held: AtomicU64,
    /// Frames on loan to nobody that should be home; always 0.
    pub(crate) leaked: AtomicU64,
}

/// Rare messages to a worker.
pub(crate) enum Control {
    /// A connection whose handshake is complete.
    Adopt(Box<NewConnection>),
    /// A connection for streams that is this worker's to keep.
    Settle(Box<Connection>),
    /// Connections that lost their place.
    Close(Vec<ConnectionId>, CloseReason, String),
    /// The vnets to announce have changed.
    Announce(Vec<(frame::VnetId, String)>),
    /// Certificates or revocations have changed: judge every connection again.
    Rejudge,
    /// End the Layer 4 sessions with these ids.
    EndSessions(Vec<u64>),
    /// Send an operator's next echo request: identifier, sequence number, where to.
    Ping(u16, u16, Tunnel),
    /// Tell of the connections that are up.
    Survey(Sender<Vec<Surveyed>>),
    /// The configuration has changed: connections and sessions that it does not want must go.
    Reconfigured,
    /// End: tell the peers, and stop.
    Stop,
}

impl WorkerHandle {
    /// Wakes the worker if it sleeps. Once a batch.
    pub(crate) fn wake(&self) {
        if self.sleeping.swap(false, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, cpu = self.cpu, "cannot wake a worker");
        }
    }

    /// Sends a rare message.
    pub(crate) fn tell(&self, message: Control) {
        // A worker that has ended does not mind.
        drop(self.control.send(message));
        self.wake();
    }
}

impl Node {
    /// The worker that owns everything of the streams with `peer`.
    pub(crate) fn streams_owner(&self, peer: PeerId) -> usize {
        let owners = || (0..self.workers.len()).filter(|index| self.workers[*index].has_tunnels);
        let turn = peer.index() % owners().count().max(1);
        owners().nth(turn).expect("some worker owns connections")
    }

    /// The plan in force, and the listeners of it that `worker` owns.
    pub(crate) fn plan_of(&self, worker: usize) -> (Arc<Plan>, Vec<Arc<Listener>>) {
        let plan = self.plan.load_full();
        let owns = |listener: &&Arc<Listener>| {
            let peer = self.book.find(listener.connector.peer.as_str());
            peer.is_some_and(|(peer, _)| self.streams_owner(peer) == worker)
        };
        let mine = plan.listeners().iter().filter(owns).cloned().collect();
        (plan, mine)
    }

    /// Sends a rare message to every worker.
    pub(crate) fn tell_all(&self, message: impl Fn() -> Control) {
        self.workers.iter().for_each(|worker| worker.tell(message()));
    }

    /// What all forwarders of the node work on.
    pub(crate) fn shared(&self) -> Shared {
        Shared {
            flows: self.flows.clone(),
            fragments: self.fragments.clone(),
            peers: self.peers.clone(),
            monitors: self.monitors.clone(),
            pings: self.pings.clone(),
        }
    }

    /// Whether the node ends.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A thread has failed: the node ends.
    pub(crate) fn fail(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Takes over what a configuration says besides peers and certificates, and the policy made of it.
    pub(crate) fn apply(&self, config: Arc<Config>, policy: Arc<Policy>) {
        self.egress.set_mbps(config.throttle.egress_mbps);
        self.ingress.set_mbps(config.throttle.ingress_mbps);
        self.monitors.configure(&policy, &self.peers, &mut rand::rng(), self.clock.now());
        let plan = Plan::new(config.clone());
        self.sessions.keep(|side, name| plan.names(side, name));
        self.plan.store(Arc::new(plan));
        self.config.store(config);
        let old = self.policy.swap(policy);
        self.lock_retired().push(old);
        // After the policy: a worker that sees the new epoch sees the new policy too.
        self.peers.start_epoch();
        // Worker 0 may sleep beyond the first probe.
        self.workers.iter().for_each(WorkerHandle::wake);
    }

    /// Frees policies that no worker holds any more. For a thread that has time.
    pub(crate) fn free_retired(&self) {
        self.lock_retired().retain(|policy| Arc::strong_count(policy) > 1);
    }

    fn lock_retired(&self) -> MutexGuard<'_, Vec<Arc<Policy>>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vnets to announce to peers.
    pub(crate) fn announced_vnets(&self) -> Vec<(frame::VnetId, String)> {
        self.policy.load().vnets().map(|vnet| (frame::VnetId(vnet.id.0), vnet.name.clone())).collect()
    }

    /// Our id of the vnet called `name`.
    pub(crate) fn vnet_named(&self, name: &str) -> Option<VnetId> {
        self.policy.load().vnet_named(name).map(|vnet| vnet.id)
    }

    /// Largest packet that the data NIC takes; for a node without one, what Ethernet does.
    pub(crate) fn data_mtu(&self) -> u16 {
        self.data.as_ref().map_or(1500, |data| data.mtu)
    }

    /// How the steering program is attached, where there is a data NIC.
    pub(crate) fn attach_mode(&self) -> Option<AttachedMode> {
        self.steering.as_ref().map(Steering::mode)
    }

    /// The steering program's maps, for a moment.
    pub(crate) fn lock_steer(&self) -> Option<MutexGuard<'_, Steer>> {
        let steer = self.steer.as_ref()?;
        Some(steer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
