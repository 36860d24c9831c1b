//! The text of a configuration file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::error::{ConfigError, ConfigErrors, Problem};

/// The text of `file`.
pub(crate) fn text(file: &Path) -> Result<String, ConfigErrors> {
    let mut bytes = Vec::new();
    let handle = File::open(file).map_err(|error| unreadable(file, &error))?;
    // The length is taken from what was read: metadata says 0 for a pipe and may change.
    handle.take(Config::MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| unreadable(file, &error))?;
    if bytes.len() as u64 > Config::MAX_FILE {
        return Err(whole_file(file, Problem::TooLong { limit: Config::MAX_FILE }));
    }
    String::from_utf8(bytes)
        .map_err(|error| whole_file(file, Problem::Syntax { message: error.utf8_error().to_string() }))
}

/// The text of `file`, and the absolute folder that paths in it are relative to.
pub(crate) fn read(file: &Path) -> Result<(String, PathBuf), ConfigErrors> {
    let text = text(file)?;
    let absolute = std::path::absolute(file).map_err(|error| unreadable(file, &error))?;
    Ok((text, absolute.parent().unwrap_or(Path::new("/")).to_owned()))
}

fn unreadable(file: &Path, error: &io::Error) -> ConfigErrors {
    whole_file(file, Problem::Unreadable { reason: error.to_string() })
}

fn whole_file(file: &Path, problem: Problem) -> ConfigErrors {
    let error = ConfigError { file: file.to_owned(), line: None, field: String::new(), problem };
    ConfigErrors::new(vec![error]).expect("one error was given")
}
