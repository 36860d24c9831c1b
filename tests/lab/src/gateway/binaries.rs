//! Where this project's binaries are.

use std::path::PathBuf;

use crate::error::{LabError, Result};

/// Environment variable that names the directory of the binaries.
const VARIABLE: &str = "GRIDWAY_BIN_DIR";

/// Path of a binary of this project: in `GRIDWAY_BIN_DIR` if that is set, else beside the running program or one
/// directory above it (tests run in `target/<profile>/deps`).
///
/// # Errors
/// [`LabError::MissingBinary`] with the directories that were searched.
pub fn find_binary(name: &str) -> Result<PathBuf> {
    let directories = match std::env::var_os(VARIABLE) {
        Some(dir) => vec![PathBuf::from(dir)],
        None => {
            let program = std::env::current_exe().map_err(LabError::io("find the running program"))?;
            program.ancestors().skip(1).take(2).map(PathBuf::from).collect()
        }
    };
    search(name, directories)
}

fn search(name: &str, directories: Vec<PathBuf>) -> Result<PathBuf> {
    let found = directories.iter().map(|dir| dir.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| LabError::MissingBinary { name: name.to_owned(), looked: directories })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_binary_in_the_second_directory_and_names_both_when_it_is_in_neither() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("deps"), dir.path().to_owned());
        std::fs::write(second.join("tool"), "").unwrap();
        let directories = vec![first, second];
        assert_eq!(search("tool", directories.clone()).unwrap(), dir.path().join("tool"));
        let error = search("other", directories.clone()).unwrap_err();
        assert!(matches!(error, LabError::MissingBinary { looked, .. } if looked == directories));
    }
}
