//! What h2 serves, and how Gridway brings it to h1 without a network between them.

use gridway_lab::{DATA_INTERFACE, Side};

/// iperf3's port on h2. Whatever stands for h2 in front of h1 uses the same ports.
pub(crate) const BULK: u16 = 5201;
/// The web server's port on h2.
pub(crate) const WEB: u16 = 8080;
/// The echo server's port on h2.
pub(crate) const ECHO: u16 = 7007;

/// By the names that Gridway's services have.
const SERVICES: [(&str, u16); 3] = [("bulk", BULK), ("web", WEB), ("echo", ECHO)];

/// As [`of_side`], where the node beside h1 has no data NIC of its own: its connectors name the interface.
pub(super) fn of_edge(side: Side) -> String {
    let interface = format!("[[connector]]\ninterface = \"{DATA_INTERFACE}\"\n");
    of_side(side).replace("[[connector]]\n", &interface)
}

/// Tables of a side's node: connectors beside h1, services beside h2.
pub(super) fn of_side(side: Side) -> String {
    let (listen, target, far) = (Side::A.data(), Side::B.host(0), side.other().node());
    let table = |(name, port): (&str, u16)| match side {
        Side::A => format!(
            "[[connector]]\nname = \"{name}\"\nprotocol = \"tcp\"\nlisten = \"{listen}:{port}\"\npeer = \"{far}\"\nservice = \"{name}\"\n\n"
        ),
        Side::B => {
            format!("[[service]]\nname = \"{name}\"\nprotocol = \"tcp\"\ntarget = \"{target}:{port}\"\n\n")
        }
    };
    SERVICES.map(table).concat()
}
