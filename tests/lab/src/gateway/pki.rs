//! Keys and certificates of a laboratory, from the code behind `gridway pki`.

use std::path::{Path, PathBuf};

use gridway_config::{Domain, NodeName};
use gridway_pki::Store;

use crate::error::{LabError, Result};
use crate::gateway::config::NodeConfig;
use crate::topology::Lab;

/// Sub-directory of the laboratory's own authority.
const OWN: &str = "pki";

/// A certificate authority for the domain `lab.example` in a directory of the laboratory.
#[derive(Debug, Clone)]
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Creates the authority in the laboratory's sub-directory `pki`.
    ///
    /// # Errors
    /// [`LabError::Pki`], also when it exists already.
    pub fn init(lab: &Lab) -> Result<Self> {
        Self::init_as(lab, OWN)
    }

    /// Creates an authority in another sub-directory: a stranger with the same names.
    ///
    /// # Errors
    /// As [`Pki::init`].
    pub fn init_as(lab: &Lab, subdirectory: &str) -> Result<Self> {
        let dir = lab.path().join(subdirectory);
        let domain = Domain::new(NodeConfig::DOMAIN).map_err(failed("domain"))?;
        gridway_pki::init(&domain, &dir).map_err(failed("init"))?;
        Ok(Self { dir })
    }

    /// The laboratory's own authority, created at the first call.
    ///
    /// # Errors
    /// As [`Pki::init`].
    pub fn of(lab: &Lab) -> Result<Self> {
        let dir = lab.path().join(OWN);
        if dir.join("ca.crt").exists() { Ok(Self { dir }) } else { Self::init_as(lab, OWN) }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes (or makes anew) a node's key and certificate. An earlier certificate stays valid.
    ///
    /// # Errors
    /// [`LabError::Pki`].
    pub fn issue(&self, node: &str) -> Result<()> {
        let name = NodeName::new(node).map_err(failed(node))?;
        self.store()?.issue_node(&name, true).map(drop).map_err(failed(node))
    }

    /// Issues a certificate unless there is one.
    ///
    /// # Errors
    /// [`LabError::Pki`].
    pub fn ensure(&self, node: &str) -> Result<()> {
        if self.dir.join(format!("{node}.crt")).exists() { Ok(()) } else { self.issue(node) }
    }

    /// Revokes all certificates of a node and updates `crl.pem`.
    ///
    /// # Errors
    /// [`LabError::Pki`].
    pub fn revoke(&self, node: &str) -> Result<()> {
        self.store()?.revoke(node).map(drop).map_err(failed(node))
    }

    /// Opens the authority, for certificates that no operator would issue. It is locked while open.
    ///
    /// # Errors
    /// [`LabError::Pki`].
    pub fn store(&self) -> Result<Store> {
        Store::nodes(&self.dir).map_err(failed("open"))
    }
}

fn failed<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> LabError {
    move |error| LabError::Pki(format!("{what}: {error}"))
}
