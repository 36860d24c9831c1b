//! An authority in a folder.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gridway_config::{Domain, NodeName, ServiceName};

use crate::authority::{Authority, Issued};
use crate::error::PkiError;
use crate::files::{self, Access, Existing};
use crate::index::{Entry, Index, unix};
use crate::request::{CertificateRequest, OperatorRole, Validity};

/// Days a revocation list holds. Nodes refuse new tunnels with an expired one.
pub const CRL_DAYS: u32 = 30;
/// Days an authority holds.
const CA_DAYS: u32 = 3652;
const OPERATORS: &str = "operators";
/// Behind the name of a node, in the names of the files of its management API.
const API_SUFFIX: &str = "-api";

/// Creates both authorities under `out`, each with an empty revocation list.
///
/// # Errors
/// [`PkiError::Exists`] if there is one already; nothing is replaced.
pub fn init(domain: &Domain, out: &Path) -> Result<(), PkiError> {
    let now = SystemTime::now();
    let operators = out.join(OPERATORS);
    for folder in [out, &operators] {
        for name in ["ca.crt", "ca.key", "crl.pem", "index.json"] {
            files::refuse_existing(&folder.join(name))?;
        }
    }
    let make = |folder: &Path| fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    make(&operators).map_err(PkiError::file(&operators))?;
    create(out, &format!("{domain} nodes"), domain, now)?;
    create(&operators, &format!("{domain} operators"), domain, now)
}

fn create(folder: &Path, common_name: &str, domain: &Domain, now: SystemTime) -> Result<(), PkiError> {
    let authority = Authority::generate(common_name, Validity::days(now, CA_DAYS))?;
    let write = |name: &str, text, access| files::write(&folder.join(name), text, access, Existing::Refuse);
    write("ca.key", authority.key_pem(), Access::Private)?;
    write("ca.crt", authority.certificate_pem(), Access::Public)?;
    let mut store = Store::from_parts(folder, authority, Index::new(domain))?;
    store.write_crl(now, CRL_DAYS)
}

/// An authority in a folder. While it is open it is locked against other processes.
pub struct Store {
    folder: PathBuf,
    authority: Authority,
    index: Index,
    _lock: File,
}

impl Store {
    /// Opens the authority of nodes under `dir`; waits while another process has it open.
    ///
    /// # Errors
    /// [`PkiError`] if a file is missing or damaged.
    pub fn nodes(dir: &Path) -> Result<Self, PkiError> {
        Self::open(dir)
    }

    /// Opens the authority of operators under `dir`; waits while another process has it open.
    ///
    /// # Errors
    /// [`PkiError`] if a file is missing or damaged.
    pub fn operators(dir: &Path) -> Result<Self, PkiError> {
        Self::open(&dir.join(OPERATORS))
    }

    fn open(folder: &Path) -> Result<Self, PkiError> {
        let certificate = files::read(&folder.join("ca.crt"))?;
        let key = files::read(&folder.join("ca.key"))?;
        let authority = Authority::from_pem(certificate, key)?;
        let mut store = Self::from_parts(
            folder,
            authority,
            Index { domain: String::new(), crl_number: 0, issued: Vec::new() },
        )?;
        // Read under the lock, or a certificate that another process issues meanwhile is forgotten.
        store.index = Index::load(&store.path("index.json"))?;
        Ok(store)
    }

    fn from_parts(folder: &Path, authority: Authority, index: Index) -> Result<Self, PkiError> {
        let path = folder.join(".lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.and_then(|file| file.lock().map(|()| file)).map_err(PkiError::file(&path))?;
        Ok(Self { folder: folder.to_owned(), authority, index, _lock: lock })
    }

    /// The authority itself.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The domain it was made for.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.index.domain
    }

    /// Every certificate issued, in order.
    #[must_use]
    pub fn issued(&self) -> &[Entry] {
        &self.index.issued
    }

    /// Issues the certificate of a node: `<node>.crt` and `<node>.key`. With `renew` files of an
    /// earlier one are replaced; that one stays valid until it ends or is revoked.
    ///
    /// # Errors
    /// [`PkiError::Exists`] without `renew`, if there are such files; [`PkiError::Reserved`] for a name that has
    /// another meaning in the folder.
    pub fn issue_node(&mut self, node: &NodeName, renew: bool) -> Result<Issued, PkiError> {
        // Its files would be those of the management API of another node.
        if node.as_str().ends_with(API_SUFFIX) {
            return Err(PkiError::Reserved { name: node.to_string() });
        }
        let request = CertificateRequest::node(node, &self.parsed_domain()?, SystemTime::now());
        self.issue(node.as_str(), node.as_str(), &request, renew)
    }

    /// Issues the certificate of the management API of a node: `<node>-api.crt` and `<node>-api.key`. It is revoked
    /// with those of the node.
    ///
    /// # Errors
    /// As [`Store::issue_node`].
    pub fn issue_api(&mut self, node: &NodeName, renew: bool) -> Result<Issued, PkiError> {
        let request = CertificateRequest::api(node, &self.parsed_domain()?, SystemTime::now());
        self.issue(node.as_str(), &format!("{node}{API_SUFFIX}"), &request, renew)
    }

    fn parsed_domain(&self) -> Result<Domain, PkiError> {
        let path = self.path("index.json");
        let damaged =
            |_| PkiError::File { path, source: std::io::Error::other("the domain is not a DNS name") };
        Domain::new(&self.index.domain).map_err(damaged)
    }

    /// Issues the certificate of an operator: `<name>.crt` and `<name>.key`.
    ///
    /// # Errors
    /// As [`Store::issue_node`].
    pub fn issue_operator(
        &mut self,
        name: &ServiceName,
        role: OperatorRole,
        renew: bool,
    ) -> Result<Issued, PkiError> {
        let request = CertificateRequest::operator(name, role, SystemTime::now());
        self.issue(name.as_str(), name.as_str(), &request, renew)
    }

    /// `name` is what the index knows it by, `stem` what its files are called.
    fn issue(
        &mut self,
        name: &str,
        stem: &str,
        request: &CertificateRequest,
        renew: bool,
    ) -> Result<Issued, PkiError> {
        let (certificate, key) = (self.path(&format!("{stem}.crt")), self.path(&format!("{stem}.key")));
        // Renewal must never replace the authority.
        if stem == "ca" {
            return Err(PkiError::Reserved { name: name.to_owned() });
        }
        if !renew {
            files::refuse_existing(&certificate)?;
            files::refuse_existing(&key)?;
        }
        let issued = self.authority.issue(request)?;
        let not_after = unix(request.validity.not_after);
        self.index.issued.push(Entry {
            serial: issued.serial,
            name: name.to_owned(),
            not_after,
            revoked: None,
        });
        self.index.save(&self.path("index.json"))?;
        let existing = if renew { Existing::Replace } else { Existing::Refuse };
        files::write(&key, &issued.key_pem, Access::Private, existing)?;
        files::write(&certificate, &issued.certificate_pem, Access::Public, existing)?;
        Ok(issued)
    }

    /// Revokes every certificate of a name that is in force, and renews the list. Says how many.
    ///
    /// # Errors
    /// [`PkiError::NotIssued`] if there is none.
    pub fn revoke(&mut self, name: &str) -> Result<usize, PkiError> {
        let now = SystemTime::now();
        let mut count = 0;
        for entry in
            self.index.issued.iter_mut().filter(|entry| entry.name == name && entry.revoked.is_none())
        {
            if entry.not_after >= unix(now) {
                entry.revoked = Some(unix(now));
                count += 1;
            }
        }
        if count == 0 {
            let known = self.index.in_force(now).join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return Err(PkiError::NotIssued { name: name.to_owned(), known });
        }
        self.write_crl(now, CRL_DAYS)?;
        Ok(count)
    }

    /// Signs the revocation list again, for another `days` days.
    ///
    /// # Errors
    /// [`PkiError::File`] if it cannot be written.
    pub fn renew_crl(&mut self, days: u32) -> Result<(), PkiError> {
        self.write_crl(SystemTime::now(), days)
    }

    fn write_crl(&mut self, now: SystemTime, days: u32) -> Result<(), PkiError> {
        self.index.crl_number += 1;
        let lifetime = Duration::from_secs(86_400) * days;
        let list = self.authority.crl(self.index.crl_number, &self.index.revoked(now), now, lifetime)?;
        self.index.save(&self.path("index.json"))?;
        files::write(&self.path("crl.pem"), &list, Access::Public, Existing::Replace)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
