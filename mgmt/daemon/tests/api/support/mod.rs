//! `gridway-mgmt` as a process on loopback, with a node that only speaks.

pub(crate) mod curl;
pub(crate) mod node;
pub(crate) mod tls;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use gridway_config::{Domain, NodeName, ServiceName};
use gridway_pki::{Authority, CertificateRequest, OperatorRole, Store, Validity, init};
use tempfile::TempDir;

use node::FakeNode;

/// How long anything may take that is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `look` finds something.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {LIMIT:?}");
        sleep(Duration::from_millis(30));
    }
}

/// A process with the folder of its files. Ends with it.
pub(crate) struct Daemon {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) node: FakeNode,
    child: Option<Child>,
}

impl Daemon {
    /// With a fresh PKI: the operators `alice` (operator) and `vera` (viewer). `extra` stands at the end of the
    /// configuration.
    pub(crate) fn start(extra: &str) -> Self {
        let mut daemon = Self::prepare(extra);
        daemon.run();
        daemon
    }

    pub(crate) fn prepare(extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        init(&domain(), &pki).unwrap();
        let mut nodes = Store::nodes(&pki).unwrap();
        nodes.issue_api(&node_name("gw-a"), false).unwrap();
        nodes.issue_node(&node_name("gw-a"), false).unwrap();
        let mut operators = Store::operators(&pki).unwrap();
        operators.issue_operator(&name("alice"), OperatorRole::Operator, false).unwrap();
        operators.issue_operator(&name("vera"), OperatorRole::Viewer, false).unwrap();
        let address = free_address();
        let node = FakeNode::start(&folder.path().join("node.sock"));
        let daemon = Self { folder, address, node, child: None };
        daemon.configure(extra);
        daemon
    }

    pub(crate) fn configure(&self, extra: &str) {
        let text = format!(
            r#"[node]
socket = "node.sock"
[api]
listen = "{}"
interface = "lo"
operators_ca = "pki/operators/ca.crt"
operators_crl = "pki/operators/crl.pem"
certificate = "pki/gw-a-api.crt"
private_key = "pki/gw-a-api.key"
{}
[store]
path = "store/node.db"
[log]
level = "debug"
{extra}"#,
            self.address,
            if extra.contains("requests_per_second") { "" } else { "requests_per_second = 1000" },
        );
        // A line for [api] stands there, whatever else `extra` holds.
        let text = match extra.strip_prefix("requests_per_second = ") {
            Some(rate) => text
                .replace(extra, "")
                .replace("\n\n[store]", &format!("\nrequests_per_second = {rate}\n[store]")),
            None => text,
        };
        fs::write(self.path("mgmt.toml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn local_socket(&self) -> PathBuf {
        self.path("mgmt/node.sock")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridway-mgmt"));
        command.arg("--config").arg(self.path("mgmt.toml"));
        command
    }

    pub(crate) fn run(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        self.child = Some(self.command().stderr(log).stdout(Stdio::null()).spawn().unwrap());
        wait("the API to listen", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}\n{}", self.log());
            TcpStream::connect(self.address).ok()
        });
    }

    /// What a start that fails says.
    pub(crate) fn refusal(&self) -> String {
        let output = self.command().output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Ends it with KILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has ended cannot be killed.
            drop(child.kill());
            child.wait().unwrap();
        }
    }

    /// Ends it with TERM; it must end in order.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = wait("it to end", || child.try_wait().unwrap());
        assert!(status.success(), "{status}\n{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until the log has `words`.
    pub(crate) fn wait_log(&self, words: &str) {
        wait(words, || self.log().contains(words).then_some(()));
    }

    /// Adds the certificate `name` of the operators' CA, made as `request` says.
    pub(crate) fn issue(&self, name: &str, request: &CertificateRequest) {
        let folder = self.path("pki/operators");
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let authority = Authority::from_pem(read("ca.crt"), read("ca.key")).unwrap();
        let issued = authority.issue(request).unwrap();
        fs::write(folder.join(format!("{name}.crt")), issued.certificate_pem).unwrap();
        fs::write(folder.join(format!("{name}.key")), issued.key_pem).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("log of gridway-mgmt:\n{}", self.log());
        }
    }
}

pub(crate) fn domain() -> Domain {
    "lab.example".parse().unwrap()
}

pub(crate) fn node_name(text: &str) -> NodeName {
    text.parse().unwrap()
}

pub(crate) fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

pub(crate) fn operator_request(text: &str) -> CertificateRequest {
    CertificateRequest::operator(&name(text), OperatorRole::Operator, SystemTime::now())
}

/// From two days ago until yesterday.
pub(crate) fn over() -> Validity {
    let day = Duration::from_secs(86_400);
    Validity { not_before: SystemTime::now() - 2 * day, not_after: SystemTime::now() - day }
}

/// A loopback address of this test alone, so that the port that the system chose stays free.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let last = NEXT.fetch_add(1, Ordering::Relaxed);
    let address = IpAddr::V4(Ipv4Addr::new(127, high.clamp(1, 254), low.clamp(1, 254), last));
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}

/// Whether a file of that prefix is beside `path`.
pub(crate) fn has_sibling(path: &Path, prefix: &str) -> bool {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
}
