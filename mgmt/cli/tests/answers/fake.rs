//! A node that answers as it is told.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use gridway_control::{Reply, Request, decode_request, encode_reply};

/// Serves connections at a socket, one after the other, until it is dropped.
pub(crate) struct FakeNode {
    folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
    ends: Arc<AtomicBool>,
    hangs_up: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl FakeNode {
    /// `answer` says what a request is answered with: one reply, or the rows of a list and its end. Nothing: the
    /// node stays silent.
    pub(crate) fn new(answer: impl Fn(&Request) -> Vec<Reply> + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (requests, ends, hangs_up) = Default::default();
        let mut node = Self { folder, requests, ends, hangs_up, server: None };
        node.listen(answer);
        node
    }

    /// Listens, at first or after it went.
    pub(crate) fn listen(&mut self, answer: impl Fn(&Request) -> Vec<Reply> + Send + 'static) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        self.ends.store(false, Ordering::Relaxed);
        self.hangs_up.store(false, Ordering::Relaxed);
        let (seen, ended, hung_up) = (self.requests.clone(), self.ends.clone(), self.hangs_up.clone());
        self.server = Some(thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                serve(&stream, &seen, &hung_up, &answer);
            }
        }));
    }

    /// Its process ends: the present connection is closed with the next question, and nobody listens.
    pub(crate) fn go(&mut self) {
        self.hang_up();
        self.end();
        std::fs::remove_file(self.socket()).unwrap();
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(UnixStream::connect(self.socket()));
        let served = self.server.take().is_none_or(|server| server.join().is_ok());
        assert!(served || thread::panicking(), "the node panicked");
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("node.sock")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Has the present connection closed in place of the next answer.
    pub(crate) fn hang_up(&self) {
        self.hangs_up.store(true, Ordering::Relaxed);
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// `gridway` with arguments, those with spaces between being several, and the node's socket.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = gridway(args);
        command.arg("--socket").arg(self.socket()).current_dir(self.folder());
        command
    }

    /// Runs it.
    pub(crate) fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.end();
    }
}

/// The binary, in an environment that names no node.
pub(crate) fn gridway(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridway"));
    command.args(args.split_whitespace());
    for variable in
        ["GRIDWAY_API", "GRIDWAY_API_CA", "GRIDWAY_API_CERT", "GRIDWAY_API_KEY", "GRIDWAY_API_NAME"]
    {
        command.env_remove(variable);
    }
    command.env_remove("SUDO_USER");
    command
}

fn serve(
    stream: &UnixStream,
    seen: &Mutex<Vec<Request>>,
    hangs_up: &AtomicBool,
    answer: &impl Fn(&Request) -> Vec<Reply>,
) {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        if hangs_up.swap(false, Ordering::Relaxed) {
            return;
        }
        let request = decode_request(&line).unwrap();
        line.clear();
        let replies = answer(&request);
        seen.lock().unwrap().push(request);
        for reply in replies {
            let mut out = stream;
            if out.write_all(&encode_reply(&reply).unwrap()).is_err() {
                return;
            }
        }
    }
}
