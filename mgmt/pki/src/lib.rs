//! Certificates for a laboratory or a small site: a CA for nodes, a CA for operators, and their
//! revocation lists.
//!
//! Two layers. [`Authority`] lives in memory and signs whatever a [`CertificateRequest`] says, which
//! is also how tests make certificates that must be refused. [`Store`] keeps an authority in a
//! folder, hands out only proper certificates, remembers them in an index and keeps the list of
//! revoked ones:
//!
//! | file | mode | holds |
//! |---|---|---|
//! | `ca.crt`, `ca.key` | 0644, 0600 | the authority of nodes |
//! | `crl.pem` | 0644 | its revocation list, there from the start |
//! | `index.json` | 0600 | domain, number of the list, every certificate issued |
//! | `<node>.crt`, `<node>.key` | 0644, 0600 | a node |
//! | `<node>-api.crt`, `<node>-api.key` | 0644, 0600 | the management API of a node |
//! | `operators/` | | the same for operators of the management API |
//!
//! A revocation list is valid for [`CRL_DAYS`] days and nodes refuse new tunnels once it expired:
//! renew it with [`Store::renew_crl`] and distribute it before. Every revocation renews it too.

mod authority;
mod error;
mod files;
mod index;
mod request;
mod store;

pub use authority::{Authority, Issued, Revoked};
pub use error::PkiError;
pub use index::Entry;
pub use request::{CertificateRequest, OperatorRole, Serial, Validity};
pub use store::{CRL_DAYS, Store, init};
