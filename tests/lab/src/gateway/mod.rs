//! Real Gridway nodes in the laboratory: configuration, keys, start, questions, end.

mod binaries;
mod books;
mod config;
mod log;
mod management;
mod node;
mod notify;
mod pair;
mod pki;
mod query;
mod sessions;
pub mod vnets;

pub use binaries::find_binary;
pub use books::{check_books, check_mirror};
pub use config::{NodeConfig, NodeFiles, PeerConfig};
pub use management::{ApiAnswer, Management};
pub use node::Gateway;
pub use pair::start_pair;
pub use pki::Pki;
