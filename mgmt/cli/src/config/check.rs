//! `gridway config check`.

use std::io::Write;
use std::path::Path;

use gridway_config::{Config, check_private_key};

use crate::error::CliError;

/// A file is judged where the node runs or before it gets there: credentials that are missing and rules
/// that never match are worth a warning, a key that others can read is an error.
pub(super) fn check(file: &Path, out: &mut impl Write) -> Result<(), CliError> {
    let (config, warnings) = Config::load_with_warnings(file)?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let identity = &config.identity;
    let needed =
        [&identity.ca, &identity.certificate, &identity.private_key].into_iter().chain(&identity.crl);
    for path in needed.filter(|path| !path.exists()) {
        eprintln!("warning: {} does not exist; the node will not start without it", path.display());
    }
    if identity.private_key.exists() {
        check_private_key(&identity.private_key).map_err(|error| CliError::Check(error.to_string()))?;
    }
    writeln!(out, "{}: good", file.display())?;
    Ok(())
}
