//! Files to transfer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rand::RngCore;

use crate::error::{LabError, Result};

/// Writes a file of `len` random bytes: nothing that is lost, repeated or swapped on the way goes unnoticed.
///
/// # Errors
/// [`LabError::Io`].
pub fn random_file(path: &Path, len: usize) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        let mut rng = rand::rng();
        let mut chunk = vec![0; 64 << 10];
        let mut left = len;
        while left > 0 {
            let part = left.min(chunk.len());
            rng.fill_bytes(&mut chunk[..part]);
            file.write_all(&chunk[..part])?;
            left -= part;
        }
        file.flush()
    };
    write().map_err(LabError::io(format!("write {}", path.display())))
}
