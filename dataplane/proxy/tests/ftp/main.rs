//! FTP's control channel between a client and a server that do not see each other.

mod addresses;
mod limits;
mod order;
mod properties;
mod refusals;
mod servers;
mod support;
