//! What every end-to-end test needs: a pair of real nodes in the laboratory, in either layout.

use std::time::Duration;

use gridway_lab::gateway::{Gateway, NodeConfig, check_books, check_mirror, start_pair, vnets};
use gridway_lab::{Iperf3, Lab, LabBuilder, Side};

pub mod flow_log;
pub mod layer4;
mod room;
mod trio;
pub mod unit;

pub use trio::Trio;

/// How a node divides its work. The whole suite runs with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One worker that owns one queue and all connections.
    Combined,
    /// Two data workers with a queue each, and a tunnel worker.
    Separate,
}

impl Layout {
    /// Queues of the data links.
    #[must_use]
    pub fn queues(self) -> u32 {
        match self {
            Self::Combined => 1,
            Self::Separate => 2,
        }
    }

    /// Gives `config` this layout.
    #[must_use]
    pub fn apply(self, config: NodeConfig, side: Side) -> NodeConfig {
        match (self, side) {
            (Self::Combined, Side::A) => config.roles("combined").cpus(&[0]),
            (Self::Combined, Side::B) => config.roles("combined").cpus(&[1]),
            (Self::Separate, _) => config.roles("separate").cpus(&[0, 1, 1]),
        }
    }
}

/// Two nodes that are up and connected: A waits, B dials.
pub struct Pair {
    /// The node of side A.
    pub a: Gateway,
    /// The node of side B.
    pub b: Gateway,
    /// The network around them; dropped last.
    pub lab: Lab,
}

impl Pair {
    /// Starts both with the vnet `corp` (NAT on both sides) and everything allowed.
    ///
    /// # Panics
    /// When the laboratory or a node cannot be started: the test has failed.
    #[must_use]
    pub fn corp(layout: Layout) -> Self {
        Self::with(layout, vnets::corp)
    }

    /// Starts both with the configuration text that `fragment` gives for each side.
    ///
    /// # Panics
    /// As [`Self::corp`].
    #[must_use]
    pub fn with(layout: Layout, fragment: impl Fn(Side) -> String) -> Self {
        Self::built(Lab::builder(), layout, fragment)
    }

    /// As [`Self::with`], in a laboratory of another shape.
    ///
    /// # Panics
    /// As [`Self::corp`].
    #[must_use]
    pub fn built(builder: LabBuilder, layout: Layout, fragment: impl Fn(Side) -> String) -> Self {
        let lab = builder.queues(layout.queues()).build().expect("the laboratory can be built");
        let configs = configs(layout, fragment);
        let [a, b] = start_pair(&lab, configs).expect("both nodes start and connect");
        Self { a, b, lab }
    }

    /// Checks that every packet is accounted for at both nodes, and that what one sent the other got.
    ///
    /// # Panics
    /// When the books do not balance.
    pub fn check_books(&self) {
        for node in [&self.a, &self.b] {
            check_books(node, LIMIT).expect("the books balance");
        }
        check_mirror(&self.a, &self.b, LIMIT).expect("what one tunnelled the other received");
    }

    /// Packets that a machine busy elsewhere had no room for so far: in the nodes' queues and rings, and in the
    /// UDP sockets of h2.
    ///
    /// # Panics
    /// When a node or `nstat` does not answer.
    #[must_use]
    pub fn without_room(&self) -> u64 {
        room::without_room(&[&self.a, &self.b], &self.lab)
    }

    /// Runs a UDP load from h1 and says how many of its datagrams were lost, but for [want of
    /// room](Self::without_room).
    ///
    /// # Panics
    /// As [`Self::without_room`], or when iperf3 fails.
    #[must_use]
    pub fn lost_on_the_way(&self, load: &Iperf3) -> u64 {
        room::lost_on_the_way(&[&self.a, &self.b], &self.lab, load)
    }

    /// Ends both nodes in order: exit code 0, all frames home.
    ///
    /// # Panics
    /// When one of them does not end in order.
    pub fn finish(mut self) {
        self.check_books();
        self.a.stop().expect("node A ends in order");
        self.b.stop().expect("node B ends in order");
    }
}

impl Pair {
    /// What both nodes count and say, for the message of a test that failed.
    #[must_use]
    pub fn evidence(&self) -> String {
        evidence(&self.a) + &evidence(&self.b)
    }
}

/// What a node counts and says.
#[must_use]
pub fn evidence(node: &Gateway) -> String {
    let counters = node.counters().map(|mut counters| {
        [&mut counters.drops, &mut counters.outbound.drops, &mut counters.inbound.drops]
            .into_iter()
            .for_each(|drops| drops.retain(|_, count| *count > 0));
        counters
    });
    let (name, sessions) = (node.config().name(), layer4::evidence(node));
    format!("{name}: {counters:#?}\n{sessions}{}\n", node.log().unwrap_or_default())
}

/// The usual pair of configurations in a layout.
#[must_use]
pub fn configs(layout: Layout, fragment: impl Fn(Side) -> String) -> [NodeConfig; 2] {
    let [a, b] = NodeConfig::pair();
    [layout.apply(a, Side::A).with(&fragment(Side::A)), layout.apply(b, Side::B).with(&fragment(Side::B))]
}

/// The vnet `corp`, but hosts of side B see all of side A's behind the addresses of `pool`.
pub fn many_to_one(pool: &str) -> impl Fn(Side) -> String {
    move |side| match side {
        Side::A => vnets::corp(Side::A),
        Side::B => vnets::corp(Side::B).replace("172.16.1.0/24", pool),
    }
}

/// How long conditions are waited for.
pub const LIMIT: Duration = Duration::from_secs(5);

/// Makes one test for each layout: the body is given the layout.
#[macro_export]
macro_rules! in_both_layouts {
    ($($(#[$doc:meta])* fn $name:ident($layout:ident) $body:block)+) => {
        $(
            mod $name {
                #[expect(clippy::wildcard_imports, reason = "the body uses what its file imports")]
                use super::*;

                fn body($layout: $crate::Layout) $body

                #[test]
                fn combined() {
                    body($crate::Layout::Combined);
                }

                #[test]
                fn separate() {
                    body($crate::Layout::Separate);
                }
            }
        )+
    };
}
