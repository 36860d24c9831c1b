//! A port between real sockets and a real interface, each test in a network namespace of its own. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod echo;
mod frames;
mod modes;
mod segments;
mod support;
