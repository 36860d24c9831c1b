//! A management API with real certificates that answers as it is told.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use gridway_pki::{Authority, CertificateRequest, OperatorRole, Validity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::fake::gridway;

/// A request as it came, such as `POST /v1/config {"toml":…}`.
type Asked = Arc<Mutex<Vec<String>>>;

/// Status, and body; of several lines a list that comes row by row.
pub(crate) type Answer = (u16, String);

/// A management API that answers as it is told; one connection after the other.
pub(crate) struct FakeApi {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    asked: Asked,
    ends: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl FakeApi {
    /// The certificate is that of `gw-a.lab.example`.
    pub(crate) fn new(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let [nodes, operators] =
            ["nodes", "operators"].map(|name| Authority::generate(name, Validity::days(now, 10)).unwrap());
        let mut request = CertificateRequest {
            common_name: "gw-a".into(),
            organizational_unit: None,
            dns_names: vec!["gw-a.lab.example".into()],
            validity: Validity::days(now, 10),
            server_auth: true,
            client_auth: false,
        };
        let own = nodes.issue(&request).unwrap();
        let alice = CertificateRequest::operator(&"alice".parse().unwrap(), OperatorRole::Operator, now);
        let alice = operators.issue(&alice).unwrap();
        (request.server_auth, request.client_auth) = (true, true);
        let stranger = nodes.issue(&request).unwrap();
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            fs::set_permissions(folder.path().join(name), PermissionsExt::from_mode(0o600)).unwrap();
        };
        write("ca.crt", nodes.certificate_pem());
        write("alice.crt", &alice.certificate_pem);
        write("alice.key", &alice.key_pem);
        write("stranger.crt", &stranger.certificate_pem);
        write("stranger.key", &stranger.key_pem);
        let config = Arc::new(config(&own.certificate_pem, &own.key_pem, operators.certificate_pem()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, ends) = (Asked::default(), Arc::new(AtomicBool::new(false)));
        let (seen, ended) = (asked.clone(), ends.clone());
        let server = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let connection = ServerConnection::new(config.clone()).unwrap();
                serve(StreamOwned::new(connection, stream), &seen, &answer);
            }
        });
        Self { folder, address, asked, ends, server: Some(server) }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// `gridway` as `who` against the API.
    pub(crate) fn command(&self, args: &str, who: &str) -> Command {
        let mut command = gridway(args);
        let (cert, key) = (format!("{who}.crt"), format!("{who}.key"));
        command.args(["--api", &self.address.to_string(), "--api-name", "gw-a.lab.example"]);
        command.args(["--ca", "ca.crt", "--cert", &cert, "--key", &key]).current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, args: &str) -> Output {
        self.command(args, "alice").output().unwrap()
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        let served = self.server.take().unwrap().join();
        assert!(served.is_ok() || thread::panicking(), "the API panicked");
    }
}

/// As the management process has it: TLS 1.3, operators only.
fn config(certificate: &str, key: &str, operators: &str) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(operators.as_bytes()).unwrap()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap()
}

/// Answers requests until the client closes, or is refused.
fn serve(
    stream: StreamOwned<ServerConnection, TcpStream>,
    seen: &Mutex<Vec<String>>,
    answer: &impl Fn(&str) -> Answer,
) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = request(&mut stream) {
        let (status, body) = answer(&asked);
        seen.lock().unwrap().push(asked);
        let head = match body.contains('\n') {
            true => "transfer-encoding: chunked".to_owned(),
            false => format!("content-length: {}", body.len()),
        };
        let mut text = format!("HTTP/1.1 {status} x\r\n{head}\r\n\r\n");
        if body.contains('\n') {
            for line in body.split_inclusive('\n') {
                text.push_str(&format!("{:x}\r\n{line}\r\n", line.len()));
            }
            text.push_str("0\r\n\r\n");
        } else {
            text.push_str(&body);
        }
        if stream.get_mut().write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request; none when the connection ends.
fn request(stream: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let mut head = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
        match line.trim_end() {
            "" => break,
            field => head.push(field.to_owned()),
        }
    }
    let length = head.iter().find_map(|field| {
        let (name, value) = field.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    let asked = format!("{} {}", head[0].trim_end_matches(" HTTP/1.1"), String::from_utf8(body).unwrap());
    Some(asked.trim_end().to_owned())
}
