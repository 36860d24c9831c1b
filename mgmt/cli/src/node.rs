//! Asking a node.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use gridway_config::Control;
use gridway_control::{Client, Request};

use crate::args::{LiveCommand, Reading};
use crate::error::CliError;
use crate::show;

pub(crate) fn run(command: LiveCommand, out: &mut impl Write) -> Result<(), CliError> {
    let (request, reading) = command.into_parts()?;
    show(&request, &reading, out)
}

/// Asks the node and shows its answer.
pub(crate) fn show(request: &Request, reading: &Reading, out: &mut impl Write) -> Result<(), CliError> {
    let socket = match &reading.socket {
        Some(socket) => socket.clone(),
        None => only_socket(Path::new(Control::DEFAULT_DIRECTORY))?,
    };
    let reply = Client::connect(&socket)?.ask(request)?;
    if reading.json { show::json(&reply, out) } else { show::text(&reply, out) }
}

/// The only socket in a folder.
fn only_socket(folder: &Path) -> Result<PathBuf, CliError> {
    // A folder that is missing or closed to this user holds no socket to choose.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_socket = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_socket());
    let mut sockets: Vec<PathBuf> = entries.filter(is_socket).map(|entry| entry.path()).collect();
    sockets.sort_unstable();
    match sockets.len() {
        0 => Err(CliError::NoSocket { folder: folder.to_owned() }),
        1 => Ok(sockets.remove(0)),
        _ => {
            let names: Vec<String> = sockets.iter().map(|path| path.display().to_string()).collect();
            Err(CliError::SeveralSockets { sockets: names.join(", ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn takes_the_only_socket_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let missing = only_socket(&folder.path().join("none")).unwrap_err();
        assert_eq!(missing.exit_status(), 2);
        fs::write(folder.path().join("file.sock"), "").unwrap();
        assert!(matches!(only_socket(folder.path()), Err(CliError::NoSocket { .. })));
        let first = folder.path().join("a.sock");
        let _listener = UnixListener::bind(&first).unwrap();
        assert_eq!(only_socket(folder.path()).unwrap(), first);
        let _other = UnixListener::bind(folder.path().join("b.sock")).unwrap();
        let several = only_socket(folder.path()).unwrap_err();
        assert_eq!(several.exit_status(), 2);
        assert!(
            several.to_string().contains("a.sock") && several.to_string().contains("b.sock"),
            "{several}"
        );
    }
}
