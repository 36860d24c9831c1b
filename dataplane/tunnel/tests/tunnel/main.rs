//! The tunnel in memory: real certificates, real handshakes, real records.

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
mod support;
