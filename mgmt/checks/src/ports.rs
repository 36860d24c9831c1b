//! Ports that the node listens at: free, and at an address of this machine.

use std::io;
use std::net::SocketAddr;

use gridway_config::Config;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::finding::Finding;

pub(crate) fn of_node(config: &Config, is_running: bool) -> Vec<Finding> {
    let management = config.management.interface.as_str();
    let tunnel = config
        .tunnel
        .listen
        .map(|at| judge("ports.tunnel", "tunnel.listen", at, Type::STREAM, management, is_running));
    let near = config.data.as_ref().map_or(management, |data| data.interface.as_str());
    let connectors = config.connectors.iter().map(|connector| {
        let kind = if connector.protocol.is_over_udp() { Type::DGRAM } else { Type::STREAM };
        judge("ports.connector", connector.name.as_str(), connector.listen, kind, near, is_running)
    });
    tunnel.into_iter().chain(connectors).collect()
}

fn judge(
    id: &'static str,
    subject: &str,
    address: SocketAddr,
    kind: Type,
    device: &str,
    is_running: bool,
) -> Finding {
    match bind(address, kind, device) {
        Ok(()) => Finding::ok(id, subject, format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_running => {
            Finding::ok(id, subject, format!("{address} is in use, and the node runs"))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::problem(
            id,
            subject,
            format!("{address} is in use by another program"),
            format!("see by which: ss -lntup 'sport = :{}'", address.port()),
        ),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Finding::problem(
            id,
            subject,
            format!("{} is no address of this machine", address.ip()),
            format!(
                "ip address add {}/LENGTH dev {device}, or another address in the configuration",
                address.ip()
            ),
        ),
        Err(error) => Finding::warning(
            id,
            subject,
            format!("whether {address} on {device} is free cannot be told: {error}"),
            "run as root",
        ),
    }
}

/// Binds as a node does, and lets go.
fn bind(address: SocketAddr, kind: Type, device: &str) -> io::Result<()> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.bind_device(Some(device.as_bytes()))?;
    if kind == Type::STREAM {
        // What an earlier connection left behind does not count.
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;
    use std::net::TcpListener;

    fn judged(address: SocketAddr, is_running: bool) -> Status {
        judge("ports.tunnel", "tunnel.listen", address, Type::STREAM, "lo", is_running).status
    }

    #[test]
    fn a_port_in_use_is_a_problem_unless_it_is_the_node_s_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(judged(address, false), Status::Problem);
        assert_eq!(judged(address, true), Status::Ok);
        drop(listener);
        assert_eq!(judged(address, false), Status::Ok);
    }

    #[test]
    fn an_address_that_the_machine_does_not_have_is_a_problem() {
        assert_eq!(judged("198.51.100.7:8443".parse().unwrap(), true), Status::Problem);
    }
}
