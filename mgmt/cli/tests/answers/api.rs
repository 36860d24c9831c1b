//! Over HTTPS: a management API with real certificates that answers as it is told.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use gridway_control::{ConfigState, End, Ping, Reply, RouteRow, encode_reply};
use gridway_pki::{Authority, CertificateRequest, OperatorRole, Validity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::fake::gridway;
use crate::{json as parsed, stderr, text};

/// A request as it came, such as `POST /v1/config {"toml":…}`.
type Asked = Arc<Mutex<Vec<String>>>;

/// Status, and body; of several lines a list that comes row by row.
type Answer = (u16, String);

struct FakeApi {
    folder: tempfile::TempDir,
    address: SocketAddr,
    asked: Asked,
    ends: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl FakeApi {
    /// The certificate is that of `gw-a.lab.example`.
    fn new(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
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
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(folder.path().join(name), mode).unwrap();
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

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// `gridway` as `who` against the API.
    fn command(&self, args: &str, who: &str) -> Command {
        let mut command = gridway(args);
        let (cert, key) = (format!("{who}.crt"), format!("{who}.key"));
        command.args(["--api", &self.address.to_string(), "--api-name", "gw-a.lab.example"]);
        command.args(["--ca", "ca.crt", "--cert", &cert, "--key", &key]).current_dir(self.folder.path());
        command
    }

    fn run(&self, args: &str) -> Output {
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

fn routes() -> Vec<RouteRow> {
    vec![RouteRow {
        vnet: "corp".into(),
        to: "10.200.2.0/24".into(),
        via: "gw-b".into(),
        metric: 10,
        available: true,
        chosen: true,
        monitor: None,
    }]
}

#[test]
fn a_node_is_read_over_the_api() {
    let api = FakeApi::new(|asked| match asked {
        "GET /v1/routes" => (200, serde_json::to_string(&routes()).unwrap()),
        _ => (200, json!({"matched": 0, "rows": []}).to_string()),
    });
    assert!(text(&api.run("routes")).contains("10.200.2.0/24"));
    assert_eq!(parsed(&api.run("routes --json"))[0]["via"], "gw-b");
    text(&api.run("flows --src fd00::1 --tcp-flags SYN,ACK --limit 7"));
    let asked = api.asked();
    let (path, query) = asked[2].split_once('?').unwrap();
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();
    assert_eq!(path, "GET /v1/flows");
    assert_eq!(query.len(), 3);
    assert!(query[1].starts_with("src=fd00") && query[0] == "limit=7", "{query:?}");
}

#[test]
fn the_environment_names_the_api_and_a_socket_goes_before_it() {
    let api = FakeApi::new(|_| (200, serde_json::to_string(&routes()).unwrap()));
    let named = |args: &str| {
        let mut command = gridway(args);
        command.env("GRIDWAY_API", api.address.to_string()).env("GRIDWAY_API_NAME", "gw-a.lab.example");
        command.env("GRIDWAY_API_CA", "ca.crt").env("GRIDWAY_API_CERT", "alice.crt");
        command.env("GRIDWAY_API_KEY", "alice.key").current_dir(api.folder.path());
        command
    };
    assert!(text(&named("routes").output().unwrap()).contains("gw-b"));
    let output = named("routes --socket none.sock").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("none.sock"));
    let output = named("routes").env_remove("GRIDWAY_API_KEY").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--key"), "{}", stderr(&output));
}

#[test]
fn refusals_of_the_api_are_status_1_and_a_lost_node_status_3() {
    let api = FakeApi::new(|asked| match asked {
        "GET /v1/peers" => (403, json!({"kind": "forbidden", "message": "viewers only read"}).to_string()),
        "GET /v1/nat" => (429, json!({"kind": "busy", "message": "50 a second"}).to_string()),
        "GET /v1/acl" => (502, json!({"kind": "internal", "message": "no socket"}).to_string()),
        "GET /v1/limits" => (503, json!({"kind": "busy", "message": "too many clients"}).to_string()),
        "GET /v1/routes" => (200, "[{\"vnet\":".to_owned()),
        "GET /v1/services" => (404, "nothing here".to_owned()),
        _ => (200, json!({"flows": 3}).to_string()),
    });
    for (command, status, told) in [
        ("peers", 1, "viewers only read (HTTP status 403)"),
        ("nat", 1, "50 a second (HTTP status 429)"),
        ("acl", 3, "cannot reach its node: no socket"),
        ("limits", 1, "the node refused: too many clients"),
        ("routes", 3, "not a valid message"),
        ("services", 1, "nothing here (HTTP status 404)"),
        ("sessions kill 7", 3, "another kind of reply"),
    ] {
        let output = api.run(command);
        assert_eq!(output.status.code(), Some(status), "{command}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{command}: {}", stderr(&output));
    }
}

#[test]
fn flows_and_sessions_are_ended_over_the_api() {
    let api = FakeApi::new(|asked| match asked {
        "DELETE /v1/sessions/8" => (404, json!({"kind": "not_found", "message": "no session 8"}).to_string()),
        asked if asked.starts_with("DELETE /v1/sessions/") => (200, json!({"sessions": 1}).to_string()),
        _ => (200, json!({"flows": 3}).to_string()),
    });
    assert_eq!(text(&api.run("flows kill --all")), "3 flow(s) ended\n");
    assert_eq!(text(&api.run("sessions kill 7 8 9")), "2 session(s) ended\n");
    let asked = api.asked();
    assert_eq!(asked[0], "DELETE /v1/flows?all=true");
    assert_eq!(asked[1..], [7, 8, 9].map(|id| format!("DELETE /v1/sessions/{id}")));
    assert_eq!(api.run("sessions kill 8").status.code(), Some(1));
}

#[test]
fn changes_are_proposed_and_versions_compared_over_the_api() {
    let state = ConfigState {
        digest: "00ff".into(),
        generation: 2,
        since: 0,
        by: "alice".into(),
        pending: None,
        saved: true,
    };
    let api = FakeApi::new(move |asked| {
        let state = serde_json::to_value(&state).unwrap();
        let value = match asked.split(' ').nth(1).unwrap() {
            "/v1/config/judge" => json!({"errors": [], "warnings": [], "diff": ""}),
            "/v1/config/versions/3" => json!({"toml": "a = 1\n"}),
            "/v1/config/versions/4" => json!({"toml": "a = 2\n"}),
            _ => state,
        };
        (200, value.to_string())
    });
    fs::write(api.folder.path().join("node.toml"), "a = 3\n").unwrap();
    assert!(text(&api.run("config apply node.toml --confirm-within 5s")).contains("no differences"));
    let posted: Value =
        serde_json::from_str(api.asked()[2].strip_prefix("POST /v1/config ").unwrap()).unwrap();
    assert_eq!(posted, json!({"toml": "a = 3\n", "confirm_within_s": 5, "base": "00ff"}));
    assert!(text(&api.run("config diff --from 3 --to 4")).contains("-a = 1\n+a = 2\n"));
    text(&api.run("config confirm"));
    assert_eq!(api.asked().last().unwrap(), "POST /v1/config/confirm {}");
}

#[test]
fn lists_come_row_by_row_over_the_api() {
    let api = FakeApi::new(|asked| {
        let row = Reply::Ping(Ping { sequence: 1, round_trip_us: Some(1234), peer: None, error: None });
        let mut rows = vec![row, Reply::End(End { rows: 1, missed: 0 })];
        if asked.contains("\"count\":2") {
            rows.pop();
        }
        let lines: String =
            rows.iter().map(|row| String::from_utf8(encode_reply(row).unwrap()).unwrap()).collect();
        (200, lines)
    });
    assert!(text(&api.run("ping --vnet corp 10.200.2.2")).contains("1 sent, 1 received"));
    let asked = api.asked();
    let posted: Value = serde_json::from_str(asked[0].strip_prefix("POST /v1/ping ").unwrap()).unwrap();
    assert_eq!(posted["vnet"], "corp");
    let output = api.run("ping --vnet corp 10.200.2.2 --count 2");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("the list ended early"), "{}", stderr(&output));
}

#[test]
fn neither_side_takes_a_certificate_of_the_other_kind() {
    let api = FakeApi::new(|_| (200, "[]".to_owned()));
    let output = api.command("routes", "stranger").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("is the certificate of an operator"), "{}", stderr(&output));
    assert!(api.asked().is_empty());

    let here = |args: &[&str]| {
        let mut command = gridway("routes --cert alice.crt --key alice.key");
        command.args(args).current_dir(api.folder.path()).output().unwrap()
    };
    let address = api.address.to_string();
    // An API by another name, and one that another authority vouches for.
    let other_name = here(&["--api", &address, "--api-name", "gw-b.lab.example", "--ca", "ca.crt"]);
    let other_ca = here(&["--api", &address, "--api-name", "gw-a.lab.example", "--ca", "alice.crt"]);
    for output in [other_name, other_ca] {
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains("cannot reach the management API"), "{}", stderr(&output));
    }
    assert!(api.asked().is_empty());
}

#[test]
fn files_of_the_api_are_judged_before_it_is_asked() {
    let api = FakeApi::new(|_| (200, "[]".to_owned()));
    let key = api.folder.path().join("alice.key");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let output = api.run("routes");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("0644"), "{}", stderr(&output));
    fs::remove_file(&key).unwrap();
    assert_eq!(api.run("routes").status.code(), Some(2));
    for bad in ["gw-a", "user@gw-a:1", "gw-a:0x", ""] {
        let mut command = gridway("routes --ca ca.crt --cert alice.crt --key stranger.key");
        let output = command.args(["--api", bad]).current_dir(api.folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{bad}: {}", stderr(&output));
    }
    assert!(api.asked().is_empty());
}

#[test]
fn nobody_at_the_address_is_status_3() {
    let api = FakeApi::new(|_| (200, "[]".to_owned()));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = gridway("routes --ca ca.crt --cert alice.crt --key alice.key");
    let output =
        command.args(["--api", &closed.to_string()]).current_dir(api.folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains(&closed.to_string()), "{}", stderr(&output));
}
