//! The management process over real TLS, asked by a stock client, with a node that only speaks. The real node is asked
//! in the end-to-end tests.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod bounds;
mod changes;
mod events;
mod keeping;
mod packets;
mod reading;
mod support;
mod webhook;
