//! Three real nodes: a gateway between the other two.
//!
//! ```text
//! h1 -- data -- gwa ==+== gwb -- data -- h2
//!                     |
//!                    gwh -- data -- h3
//! ```

use gridway_lab::gateway::{Gateway, NodeConfig, Pki, check_books};
use gridway_lab::{Hub, Iperf3, Lab, LabBuilder, Side, wait_until};

use crate::{LIMIT, Layout, evidence, room};

/// Three nodes that are up and connected to the hub.
pub struct Trio {
    /// The node of side A.
    pub a: Gateway,
    /// The node of side B.
    pub b: Gateway,
    /// The node in the middle.
    pub hub: Gateway,
    /// The network around them; dropped last.
    pub lab: Lab,
}

impl Trio {
    /// Only the hub knows both others. The fragments are those of A, B and the hub.
    ///
    /// # Panics
    /// When the laboratory or a node cannot be started: the test has failed.
    #[must_use]
    pub fn star(fragments: [&str; 3]) -> Self {
        let dial = Hub::tunnel().to_string();
        let spoke = |side| NodeConfig::gateway(side).peer(Hub::NODE, &[&dial]);
        Self::start([spoke(Side::A), spoke(Side::B)], fragments)
    }

    /// Each knows both others.
    ///
    /// # Panics
    /// As [`Self::star`].
    #[must_use]
    pub fn mesh(fragments: [&str; 3]) -> Self {
        let dial = Hub::tunnel().to_string();
        let trio = Self::start(NodeConfig::pair().map(|config| config.peer(Hub::NODE, &[&dial])), fragments);
        trio.a.wait_peer_up(Side::B.node(), LIMIT).expect("A and B connect");
        trio.b.wait_peer_up(Side::A.node(), LIMIT).expect("A and B connect");
        trio
    }

    fn start(configs: [NodeConfig; 2], [of_a, of_b, of_hub]: [&str; 3]) -> Self {
        let lab = LabBuilder::default().hub().build().expect("the laboratory can be built");
        let pki = Pki::of(&lab).expect("an authority can be made");
        let layout = Layout::Combined;
        let hub = layout.apply(NodeConfig::hub(), Side::A).with(of_hub);
        let mut hub = Gateway::prepare_in(&lab, lab.hub().gateway(), &pki, hub).expect("the hub is prepared");
        hub.start().expect("the hub starts");
        let [a, b] = configs;
        let launch = |side, config: NodeConfig, fragment| {
            Gateway::launch(&lab, side, &pki, layout.apply(config, side).with(fragment))
                .expect("a node starts")
        };
        let (a, b) = (launch(Side::A, a, of_a), launch(Side::B, b, of_b));
        for node in [&a, &b] {
            node.wait_peer_up(Hub::NODE, LIMIT).expect("the hub is reached");
            hub.wait_peer_up(node.config().name(), LIMIT).expect("the hub is reached");
        }
        Self { a, b, hub, lab }
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> [&Gateway; 3] {
        [&self.a, &self.b, &self.hub]
    }

    /// Checks that every packet is accounted for at all nodes, and that what one sent to another that one got.
    ///
    /// # Panics
    /// When the books do not balance.
    pub fn check_books(&self) {
        for node in self.nodes() {
            check_books(node, LIMIT).expect("the books balance");
        }
        let mirrored = wait_until("mirrored books", LIMIT, || self.difference().is_none().then_some(()));
        assert!(mirrored.is_ok(), "{:?}\n{}", self.difference(), self.evidence());
    }

    /// Two nodes of which one has not got what the other one sent.
    fn difference(&self) -> Option<String> {
        let row = |node: &Gateway, peer: &Gateway| {
            node.peers().expect("a node answers").into_iter().find(|row| row.name == peer.config().name())
        };
        let pairs = self.nodes().into_iter().flat_map(|from| self.nodes().map(|to| (from, to)));
        pairs.filter(|(from, to)| from.config().name() != to.config().name()).find_map(|(from, to)| {
            let (sent, got) = (row(from, to)?.tx_packets, row(to, from)?.rx_packets);
            let (from, to) = (from.config().name(), to.config().name());
            (sent != got).then(|| format!("{from} sent {sent} packets to {to}, which got {got}"))
        })
    }

    /// Runs a UDP load from h1 and says how many of its datagrams were lost, but for want of room on a busy machine.
    ///
    /// # Panics
    /// When a node, `nstat` or iperf3 fails.
    #[must_use]
    pub fn lost_on_the_way(&self, load: &Iperf3) -> u64 {
        room::lost_on_the_way(&self.nodes(), &self.lab, load)
    }

    /// Ends all nodes in order: exit code 0, all frames home.
    ///
    /// # Panics
    /// When one of them does not end in order.
    pub fn finish(mut self) {
        self.check_books();
        for node in [&mut self.a, &mut self.b, &mut self.hub] {
            node.stop().expect("a node ends in order");
        }
    }

    /// What all nodes count and say, for the message of a test that failed.
    #[must_use]
    pub fn evidence(&self) -> String {
        self.nodes().map(evidence).concat()
    }
}
