//! What the configuration says: which vnet, which peers, whether at all.

mod acl;
mod routes;
mod select;

pub(crate) use acl::{judge, judge_begin};
pub(crate) use routes::Reachable;
pub(crate) use select::{is_remote, select};
