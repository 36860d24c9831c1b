//! Events that are posted, to a server with real TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use gridway_control::Severity;
use gridway_pki::{Authority, CertificateRequest, Validity};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::support::{Daemon, LIMIT, operator_request, wait};

/// Takes posts and answers each with the next of `statuses`, the last one for ever; tells their bodies.
fn server(daemon: &Daemon, statuses: &'static [u16]) -> (u16, Receiver<Value>) {
    let authority = Authority::generate("alerts", Validity::days(std::time::SystemTime::now(), 2)).unwrap();
    let request = CertificateRequest {
        dns_names: vec!["localhost".into()],
        server_auth: true,
        client_auth: false,
        ..operator_request("alerts")
    };
    let issued = authority.issue(&request).unwrap();
    std::fs::write(daemon.path("alerts.crt"), authority.certificate_pem()).unwrap();
    let certificate = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, bodies) = channel();
    thread::spawn(move || {
        let mut statuses = statuses.iter().copied().peekable();
        for stream in listener.incoming().map(Result::unwrap) {
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let Some(body) = read_post(&mut tls) else { continue };
            let status = statuses.next().unwrap();
            if statuses.peek().is_none() {
                statuses = [status].repeat(100).leak().iter().copied().peekable();
            }
            let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            tls.write_all(answer.as_bytes()).unwrap();
            tls.flush().unwrap();
            if sender.send(body).is_err() {
                return;
            }
        }
    });
    (port, bodies)
}

fn read_post(stream: &mut impl Read) -> Option<Value> {
    let (mut text, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut bytes).ok()?;
        if count == 0 {
            return None;
        }
        text.extend_from_slice(&bytes[..count]);
        let Some((_, body)) = std::str::from_utf8(&text).ok()?.split_once("\r\n\r\n") else { continue };
        if let Ok(value) = serde_json::from_str(body) {
            return Some(value);
        }
    }
}

fn metric(daemon: &Daemon, name: &str) -> u64 {
    let page = daemon.get("vera", "/metrics").body;
    page.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
}

#[test]
fn events_from_a_severity_on_are_posted_and_tried_again() {
    let mut daemon = Daemon::prepare("");
    let (port, bodies) = server(&daemon, &[500, 204]);
    let table = format!("[webhook]\nurl = \"https://localhost:{port}/hook\"\nca = \"alerts.crt\"\n");
    daemon.configure(&table);
    daemon.run();
    daemon.node.event(Severity::Info, "tunnel_up");
    daemon.node.event(Severity::Warning, "certificate_expires");
    daemon.node.event(Severity::Error, "tunnel_down");
    let kinds: Vec<String> = (0..3)
        .map(|_| bodies.recv_timeout(LIMIT).unwrap())
        .inspect(|body| assert_eq!((&body["node"], &body["instance"]), (&"gw-a".into(), &"one".into())))
        .map(|body| body["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["certificate_expires", "certificate_expires", "tunnel_down"]);
    wait("the count", || (metric(&daemon, "gridway_mgmt_webhook_posted_total") == 2).then_some(()));
    assert_eq!(metric(&daemon, "gridway_mgmt_webhook_dropped_total"), 0);
}

#[test]
fn a_server_of_another_ca_gets_nothing_and_nothing_else_waits_for_it() {
    let mut daemon = Daemon::prepare("");
    let (port, bodies) = server(&daemon, &[204]);
    let table = format!("[webhook]\nurl = \"https://localhost:{port}/\"\nca = \"pki/ca.crt\"\n");
    daemon.configure(&table);
    daemon.run();
    daemon.node.event(Severity::Error, "tunnel_down");
    daemon.wait_log("an event is not posted yet");
    assert!(bodies.try_recv().is_err());
    assert_eq!(daemon.get("vera", "/v1/status").status, 200);
    daemon.stop();
}
