//! HTTPS on the management interface: TLS 1.3 with certificates on both sides, then HTTP/1.1.

mod accept;
mod counts;
mod operator;
mod socket;
mod trust;
mod watch;

pub(crate) use accept::{Doors, serve, told};
pub(crate) use operator::{Caller, Role};
pub(crate) use socket::listen;
pub(crate) use trust::Trust;
pub(crate) use watch::TrustWatch;
