//! The tunnel in memory: real certificates, real handshakes, real records.

#![expect(clippy::unwrap_used, reason = "a failure to set up the test is a failure of the test")]

mod buffer;
mod credentials;
mod garbage;
mod handshake;
mod interop;
mod openssl;
mod records;
mod refusals;
mod session;
mod session_end;
mod stock;
mod streams;
mod support;
