//! What the tests share: private network namespaces, running the program on one frame, an AF_XDP socket.
//!
//! They need root, and fail without it.

pub(crate) mod frames;
pub(crate) mod netns;
pub(crate) mod tap;
pub(crate) mod test_run;
pub(crate) mod xsk;

use std::{
    net::IpAddr,
    ops::{Deref, DerefMut},
    os::fd::AsRawFd,
};

use gridway_steer::{Attach, Fate, Hooks, Kind, Listener, ListenerProtocol, Steer, SteerError};

use self::{
    test_run::{Action, Verdict},
    xsk::Xsk,
};

/// What the tables of cases are judged against.
pub(crate) const OWN: [&str; 4] = ["10.1.0.1", "10.1.0.255", "2001:db8:1::1", "fe80::1"];
pub(crate) const PROXIED: [&str; 2] = ["172.16.2.0/24", "2001:db8:2::/64"];
/// `::/96` would hold IPv4 if families were not kept apart; so would a denied `::/0`, see its own test.
pub(crate) const DENIED: [&str; 3] = ["203.0.113.0/24", "2001:db8:bad::/48", "::/96"];
pub(crate) const LISTENERS: [(&str, ListenerProtocol, u16); 3] = [
    ("172.16.9.1", ListenerProtocol::Tcp, 443),
    ("172.16.9.1", ListenerProtocol::Udp, 53),
    ("2001:db8:9::1", ListenerProtocol::Udp, 53),
];

/// The program on one end of a veth pair that is otherwise silent, so that only test runs count.
/// Queue 0 has a socket, queue 1 has none.
pub(crate) struct Bench {
    pub(crate) steer: Program,
    _socket: Xsk,
}

impl Bench {
    pub(crate) fn new() -> Self {
        netns::silent_veth();
        let mut steer = attach(Attach::Native).expect("attach natively to veth");
        let socket = Xsk::bind(steer.ifindex(), 0);
        steer.register_socket(0, socket.as_raw_fd()).expect("register the socket");
        steer.set_own_addresses(&OWN.map(address)).expect("own addresses");
        steer.set_proxied(&PROXIED.map(net)).expect("proxied prefixes");
        steer.set_deny(&DENIED.map(net)).expect("deny list");
        steer.set_listeners(&LISTENERS.map(listener)).expect("listeners");
        Self { steer, _socket: socket }
    }

    /// Runs the XDP program on a frame of receive queue `queue`; the fates that were counted, and what came out.
    pub(crate) fn run(&self, frame: &[u8], queue: u32) -> (Vec<Fate>, Verdict) {
        let program = self.steer.hooks.xdp_fd().expect("program");
        self.counted(|| test_run::run_xdp(program, frame, self.steer.ifindex(), queue))
    }

    /// As [`Self::run`], the program of the tc hook; none if the kernel does not run it on such a frame.
    pub(crate) fn run_tc(&self, frame: &[u8]) -> Option<(Vec<Fate>, Verdict)> {
        let program = self.steer.hooks.tc_fd().expect("program");
        let (counted, verdict) = self.counted(|| test_run::run_tc(program, frame));
        Some((counted, verdict?))
    }

    fn counted<T>(&self, run: impl FnOnce() -> T) -> (Vec<Fate>, T) {
        let before = self.steer.counters().expect("counters");
        let verdict = run();
        let after = self.steer.counters().expect("counters");
        let counted = after
            .iter()
            .zip(before.iter())
            .flat_map(|((fate, after), (_, before))| {
                vec![fate; usize::try_from(after - before).expect("a small number")]
            })
            .collect();
        (counted, verdict)
    }
}

/// The loaded program: its hooks, and by dereferencing its maps.
#[derive(Debug)]
pub(crate) struct Program {
    steer: Steer,
    pub(crate) hooks: Hooks,
}

impl Deref for Program {
    type Target = Steer;

    fn deref(&self) -> &Steer {
        &self.steer
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Steer {
        &mut self.steer
    }
}

/// Loads the program for the data end.
pub(crate) fn load() -> Program {
    let (steer, hooks) = Steer::load(netns::DATA).expect("load");
    Program { steer, hooks }
}

/// Attaches the program to the data end's XDP hook.
pub(crate) fn attach(wanted: Attach) -> Result<Program, SteerError> {
    let mut program = load();
    program.hooks.attach_xdp(wanted)?;
    Ok(program)
}

/// Attaches the program to the data end's tc hook.
pub(crate) fn attach_tc() -> Result<Program, SteerError> {
    let mut program = load();
    program.hooks.attach_tc()?;
    Ok(program)
}

/// A description, a frame, and the fate that it must have.
pub(crate) type Case = (&'static str, Vec<u8>, Fate);

/// Runs the cases, at the XDP hook on queue 0 and at the tc hook: each counts its fate once, gets the verdict of
/// that fate, and a frame that no worker gets is left as it was.
pub(crate) fn check(bench: &Bench, cases: Vec<Case>) {
    let (all, mut at_both) = (cases.len(), 0);
    for (description, frame, fate) in cases {
        let (counted, verdict) = bench.run(&frame, 0);
        assert_eq!(counted, [fate], "{description}");
        assert_eq!(verdict.action, action_of(fate), "{description}");
        if verdict.action != Action::Redirect {
            assert_eq!(verdict.frame, frame, "{description}: left as it was");
        }

        let fate = at_tc(fate);
        if let Some((counted, verdict)) = bench.run_tc(&frame) {
            assert_eq!(counted, [fate], "{description}, tc");
            assert_eq!(verdict.action, action_of(fate), "{description}, tc");
            assert_eq!(verdict.frame, frame, "{description}, tc: left as it was");
            at_both += 1;
        }
    }
    assert!(at_both + 2 >= all, "{at_both} of {all} cases ran at the tc hook");
}

/// The fate at the tc hook of a frame that has `fate` at the XDP hook.
pub(crate) fn at_tc(fate: Fate) -> Fate {
    match fate.kind() {
        Kind::Worker => Fate::DropNoVnet,
        Kind::Drop | Kind::Kernel => fate,
    }
}

/// The verdict that belongs to a fate.
pub(crate) fn action_of(fate: Fate) -> Action {
    match fate.kind() {
        Kind::Drop => Action::Drop,
        Kind::Kernel => Action::Pass,
        Kind::Worker => Action::Redirect,
    }
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn net(text: &str) -> ipnet::IpNet {
    text.parse().expect("a prefix")
}

pub(crate) fn listener((addr, protocol, port): (&str, ListenerProtocol, u16)) -> Listener {
    Listener { addr: address(addr), protocol, port }
}
