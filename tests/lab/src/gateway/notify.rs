//! The receiving end of `sd_notify(3)`.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{LabError, Result};

/// Longest message taken; the protocol's messages are a few lines.
const MESSAGE: usize = 4096;

/// A datagram socket whose path a service finds in `NOTIFY_SOCKET`.
#[derive(Debug)]
pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    /// Binds it; a socket left there by an earlier one is replaced.
    pub(crate) fn bind(path: &Path) -> Result<Self> {
        let what = || format!("bind the notification socket {}", path.display());
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(LabError::io(what())(error)),
            _ => {}
        }
        let socket = UnixDatagram::bind(path).map_err(LabError::io(what()))?;
        socket.set_nonblocking(true).map_err(LabError::io(what()))?;
        Ok(Self { socket, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the messages that have arrived and says whether one of them announced `assignment` (`READY=1`).
    pub(crate) fn announced(&self, assignment: &str) -> Result<bool> {
        let mut seen = false;
        let mut buffer = [0; MESSAGE];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(len) => {
                    let text = String::from_utf8_lossy(&buffer[..len]);
                    seen |= text.lines().any(|line| line == assignment);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(seen),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(LabError::io("receive a notification")(error)),
            }
        }
    }

    /// Waits for an announcement while `alive` says that it may still come.
    pub(crate) fn wait_for(
        &self,
        assignment: &str,
        limit: Duration,
        mut alive: impl FnMut() -> Result<bool>,
    ) -> Result<bool> {
        crate::wait::try_wait_until(&format!("notification {assignment}"), limit, || {
            let possible = alive()?;
            let announced = self.announced(assignment)?;
            Ok((announced || !possible).then_some(announced))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hears_readiness_among_other_lines_and_forgets_it_once_heard() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        drop(NotifySocket::bind(&path).unwrap());
        let socket = NotifySocket::bind(&path).unwrap();
        assert!(!socket.announced("READY=1").unwrap());
        let service = UnixDatagram::unbound().unwrap();
        service.send_to(b"STATUS=warming up", &path).unwrap();
        service.send_to(b"STATUS=forwarding\nREADY=1\n", &path).unwrap();
        assert!(socket.wait_for("READY=1", Duration::from_secs(5), || Ok(true)).unwrap());
        assert!(!socket.announced("READY=1").unwrap());
    }

    #[test]
    fn stops_waiting_when_the_service_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let socket = NotifySocket::bind(&dir.path().join("notify")).unwrap();
        assert!(!socket.wait_for("READY=1", Duration::from_secs(60), || Ok(false)).unwrap());
    }
}
