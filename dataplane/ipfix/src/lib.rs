//! An IPFIX exporter of NAT-aware biflows, without I/O (RFC 7011, 7012, 5103).
//!
//! [`Exporter::push`] takes flows and gives away messages that are ready to be sent as UDP datagrams. Four templates
//! serve: beginnings and ends of flows, of IPv4 and of IPv6. Templates go ahead of the first message, and again
//! every [`TEMPLATE_INTERVAL`], because UDP loses some and collectors restart (RFC 7011, 8.1 and 8.4).
//!
//! Elements: [`Item`]. The source of a flow is the side that began it, and what has the reverse enterprise number is of the
//! other direction (RFC 5103); addresses and ports after translation are in the `postNAT` elements.

mod exporter;
mod flow;
mod item;
mod template;

pub use exporter::{Exporter, MAX_MESSAGE, Moment, TEMPLATE_INTERVAL};
pub use flow::{EndReason, Event, Flow, Traffic};
pub use item::{Item, REVERSE};
pub use template::Template;
