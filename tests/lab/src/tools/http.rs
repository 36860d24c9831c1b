//! An HTTP server that says who asked, and `curl` that asks it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;

/// Answers every GET with the client's address and port as the server sees them. No length is said, so that the
/// server is the one that closes: the client may use its port again at once.
const SERVER: &str = r#"
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Mirror(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(("%s:%d" % self.client_address[:2]).encode())

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Mirror)
print("serving", flush=True)
server.serve_forever()
"#;

/// A running HTTP server (python's own).
#[derive(Debug)]
pub struct MirrorServer {
    /// Ends with this guard.
    _process: Process,
}

impl MirrorServer {
    /// Starts a server on an IPv4 address and waits until it listens.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it said when it does not come up.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let args = ["-c", SERVER, &address.ip().to_string(), &address.port().to_string()];
        let mut process = namespace.command("python3").args(args).spawn()?;
        process.wait_for_output("serving", Duration::from_secs(20))?;
        Ok(Self { _process: process })
    }
}

/// A GET by curl.
#[derive(Debug, Clone)]
pub struct Curl {
    server: SocketAddr,
    local_port: Option<u16>,
    limit: Duration,
}

impl Curl {
    /// Asks a [`MirrorServer`]; 5 s to answer.
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self { server, local_port: None, limit: Duration::from_secs(5) }
    }

    /// The port to ask from.
    #[must_use]
    pub fn local_port(mut self, port: u16) -> Self {
        self.local_port = Some(port);
        self
    }

    /// How long the answer may take.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Asks, and returns who the server says that it was.
    ///
    /// # Errors
    /// [`LabError::Failed`] with curl's own message, [`LabError::Parse`].
    pub fn run(&self, from: &Namespace) -> Result<SocketAddr> {
        let seconds = format!("{:.3}", self.limit.as_secs_f64());
        let mut command = from.command("curl").args(["-sS", "--noproxy", "*", "--max-time", &seconds]);
        if let Some(port) = self.local_port {
            command = command.args(["--local-port", &port.to_string()]);
        }
        let limit = self.limit + Duration::from_secs(10);
        let output = command.arg(format!("http://{}/", self.server)).timeout(limit).run()?.stdout;
        output.trim().parse().map_err(|_| LabError::Parse { tool: "curl", expected: "address:port", output })
    }
}
