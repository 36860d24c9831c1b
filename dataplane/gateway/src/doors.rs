//! What the kernel takes for Layer 4: listeners in the steering program's map, and routes to the addresses of port
//! forwards, which no interface has.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gridway_control::Severity;
use gridway_forwarding::next_hop::NextHops;
use gridway_netlink::{LocalRouteError, LocalRoutes};
use gridway_proxy::{Doors, Plan};
use gridway_steer::{Listener, ListenerProtocol, SteerError};

use crate::events::Kind;
use crate::node::Node;

/// Doors at a time: beside them the steering program's map has room for the listeners of a configuration.
const DOORS: usize = 1024;

/// Doors of FTP's data connections, beside the listeners that are configured.
#[derive(Debug, Default)]
pub(crate) struct OpenDoors {
    open: Mutex<BTreeSet<SocketAddr>>,
}

impl OpenDoors {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The doors that an engine opens.
pub(crate) struct NodeDoors(pub(crate) Arc<Node>);

impl Doors for NodeDoors {
    fn open(&self, at: SocketAddr) -> bool {
        // The map is changed under the lock of the doors, so that it and they never differ.
        let mut doors = self.0.doors.lock();
        if doors.len() >= DOORS {
            return false;
        }
        let added = self.0.lock_steer().map(|mut steer| steer.add_listener(&door(at)));
        if let Some(Err(error)) = added {
            tracing::error!(%error, "the steering program takes no door for a data connection");
            return false;
        }
        doors.insert(at);
        true
    }

    fn close(&self, at: SocketAddr) {
        let mut doors = self.0.doors.lock();
        doors.remove(&at);
        let removed = self.0.lock_steer().map(|mut steer| steer.remove_listener(&door(at)));
        if let Some(Err(error)) = removed {
            tracing::error!(%error, "the steering program keeps the door of a data connection");
        }
    }
}

fn door(at: SocketAddr) -> Listener {
    Listener { addr: at.ip(), protocol: ListenerProtocol::Tcp, port: at.port() }
}

/// Tells the steering program where Layer 4 listens.
fn steer_listeners(node: &Node) -> Result<(), SteerError> {
    let doors = node.doors.lock();
    let Some(data) = &node.data else { return Ok(()) };
    let plan = node.plan.load();
    // What listens at another interface is not reached by this one.
    let on_data = plan.listeners().iter().filter(|listener| *listener.device == *data.interface);
    let configured = on_data.map(|listener| {
        let connector = &listener.connector;
        let protocol =
            if connector.protocol.is_over_udp() { ListenerProtocol::Udp } else { ListenerProtocol::Tcp };
        Listener { addr: connector.listen.ip(), protocol, port: connector.listen.port() }
    });
    // At a wildcard only own addresses are listened at, and those are the kernel's whatever the port.
    let configured = configured.filter(|listener| !listener.addr.is_unspecified());
    let all: Vec<Listener> = configured.chain(doors.iter().copied().map(door)).collect();
    node.lock_steer().map_or(Ok(()), |mut steer| steer.set_listeners(&all))
}

/// The addresses of port forwards.
pub(crate) fn forwards(plan: &Plan) -> BTreeSet<IpAddr> {
    let forwards = plan.listeners().iter().filter(|listener| listener.vnet.is_some());
    forwards.map(|listener| listener.connector.listen.ip()).collect()
}

/// Keeps listeners and routes as the configuration and the data NIC's addresses want them.
pub(crate) struct Keeper {
    routes: Option<LocalRoutes>,
    followed: Option<(Arc<Plan>, Arc<NextHops>)>,
    /// What could not be done, said once.
    error: Option<String>,
    /// Connectors whose clients cannot come, said once.
    strange: BTreeSet<String>,
}

impl Keeper {
    /// For a node on the data NIC `interface`, if it has one.
    pub(crate) fn open(interface: Option<&str>) -> anyhow::Result<Self> {
        let routes = interface.map(LocalRoutes::open).transpose()?;
        Ok(Self { routes, followed: None, error: None, strange: BTreeSet::new() })
    }

    /// Follows what has changed since the last call.
    pub(crate) fn follow(&mut self, node: &Node) {
        let (plan, hops) = (node.plan.load_full(), node.next_hops.load_full());
        let is_known = |(old_plan, old_hops): &(Arc<Plan>, Arc<NextHops>)| {
            Arc::ptr_eq(old_plan, &plan) && Arc::ptr_eq(old_hops, &hops)
        };
        if self.followed.as_ref().is_some_and(is_known) {
            return;
        }
        let forwards = forwards(&plan);
        let hops = if *hops.forwards() == forwards {
            hops
        } else {
            // From the overlay nobody reaches them, as nobody reaches the data NIC's addresses.
            let with_forwards = Arc::new(NextHops::clone(&hops).with_forwards(forwards.clone()));
            node.next_hops.store(with_forwards.clone());
            with_forwards
        };
        let steered = steer_listeners(node).map_err(|error| error.to_string());
        let wanted = forwards.into_iter().filter(|address| !hops.own().contains(address)).collect();
        self.warn_of_strange_addresses(node, &plan, &hops);
        let error = steered.and(self.set(wanted).map_err(|error| error.to_string())).err();
        if let Some(error) = &error
            && self.error.as_ref() != Some(error)
        {
            let interface = node.data.as_ref().map_or("", |data| &data.interface);
            let message = format!("some listeners of Layer 4 cannot be reached: {error}");
            node.events.record(Severity::Error, Kind::ConnectorUnavailable, interface, message);
        }
        // What failed is tried again.
        self.followed = error.is_none().then_some((plan, hops));
        self.error = error;
    }

    /// A connector may listen at an address before the data NIC has it; who mistypes one would wait for ever.
    fn warn_of_strange_addresses(&mut self, node: &Node, plan: &Plan, hops: &NextHops) {
        let Some(data) = &node.data else { return };
        let strange = plan.listeners().iter().filter(|listener| {
            let address = listener.connector.listen.ip();
            let on_data = listener.vnet.is_none() && *listener.device == *data.interface;
            on_data && !address.is_unspecified() && !hops.own().contains(&address)
        });
        let strange: BTreeSet<String> = strange.map(|listener| listener.connector.name.to_string()).collect();
        for connector in strange.difference(&self.strange) {
            let message =
                format!("{} does not have the address it listens at: no client can come", data.interface);
            node.events.record(Severity::Warning, Kind::ConnectorUnavailable, connector, message);
        }
        self.strange = strange;
    }

    /// Sets the routes; one that cannot be does not keep the others from being.
    fn set(&mut self, mut wanted: BTreeSet<IpAddr>) -> Result<(), LocalRouteError> {
        let Some(routes) = &mut self.routes else { return Ok(()) };
        let mut first = Ok(());
        loop {
            let result = routes.set(&wanted);
            let address = match &result {
                Err(LocalRouteError::NotAHost { address } | LocalRouteError::Taken { address, .. }) => {
                    *address
                }
                Err(_) | Ok(()) => return first.and(result),
            };
            wanted.remove(&address);
            first = first.and(result);
        }
    }
}
