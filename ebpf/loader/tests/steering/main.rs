//! The steering program and its loader on the kernel of this machine. Needs root, and fails without it.

mod common;
mod empty_instant;
mod fates;
mod fates_ipv6;
mod forwarding;
mod live;
mod malformed;
mod preparation;
mod sets;
mod tc;
