//! OpenSSL on the other side of a loopback connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gridway_pki::Issued;
use gridway_tunnel::record::record_len;
use gridway_tunnel::{Established, RecordBuffer};

use crate::support::{A, B, CA, End, credentials, issue, open, request, seal, update};

const PATIENCE: Duration = Duration::from_secs(10);

/// A process that does not outlive its test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself: both calls then have nothing to do.
        let _ended = (self.0.kill(), self.0.wait());
    }
}

/// `openssl` with a node's certificate and key out of `folder`.
fn openssl(folder: &Path, own: &Issued, arguments: &[&str]) -> Peer {
    std::fs::write(folder.join("ca.crt"), CA.certificate_pem()).unwrap();
    std::fs::write(folder.join("own.crt"), &own.certificate_pem).unwrap();
    std::fs::write(folder.join("own.key"), &own.key_pem).unwrap();
    let common = ["-CAfile", "ca.crt", "-cert", "own.crt", "-key", "own.key", "-alpn", "gridway/1", "-quiet"];
    let child = Command::new("openssl")
        .args(arguments)
        .args(common)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    Peer(child)
}

/// Reads what has come; true when the peer closed.
fn read(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => true,
        Ok(length) => {
            into.extend(&buffer[..length]);
            false
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Runs our end of a handshake over `stream`.
fn shake(mut end: End, stream: &mut TcpStream) -> (Box<Established>, Vec<u8>) {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while end.outcome.is_none() {
        stream.write_all(&end.take_output()).unwrap();
        let mut bytes = Vec::new();
        let closed = read(stream, &mut bytes);
        if !bytes.is_empty() {
            end.receive(&bytes, usize::MAX);
        }
        assert!(!closed && Instant::now() < deadline, "openssl does not finish the handshake");
    }
    stream.write_all(&end.take_output()).unwrap();
    end.established()
}

/// Reads records until `expected` has come out of them.
fn expect(established: &mut Established, stream: &mut TcpStream, pending: &mut Vec<u8>, expected: &[u8]) {
    let deadline = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while found != expected {
        assert!(Instant::now() < deadline, "got {found:?}");
        read(stream, pending);
        let mut whole = 0;
        while let Some(length) = record_len(&pending[whole..]).unwrap() {
            if pending.len() < whole + length {
                break;
            }
            whole += length;
        }
        let records: Vec<u8> = pending.drain(..whole).collect();
        found.extend(open(&mut established.records, &records).unwrap().frames);
    }
}

/// A line each way, before and after a change of our keys; then we close.
fn talk(peer: &mut Peer, established: &mut Established, stream: &mut TcpStream, mut pending: Vec<u8>) {
    let (mut stdin, mut stdout) = (peer.0.stdin.take().unwrap(), peer.0.stdout.take().unwrap());
    let mut sent = Vec::new();
    for line in [b"first\n", b"other\n"] {
        stdin.write_all(line).unwrap();
        expect(established, stream, &mut pending, line);
        let (plaintext, sealed) = seal(&mut established.records, line);
        stream.write_all(&sealed).unwrap();
        sent.extend(plaintext);
        stream.write_all(&update(&mut established.records)).unwrap();
    }
    let mut record = RecordBuffer::new();
    established.records.close_notify(&mut record).unwrap();
    stream.write_all(record.sealed()).unwrap();
    // What openssl read comes out of it until it ends.
    let reader = thread::spawn(move || {
        let mut heard = Vec::new();
        let mut byte = [0; 1];
        while heard.len() < sent.len() && stdout.read(&mut byte).unwrap() == 1 {
            heard.push(byte[0]);
        }
        (heard, sent)
    });
    let deadline = Instant::now() + PATIENCE;
    while !reader.is_finished() {
        if Instant::now() > deadline {
            peer.0.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(5));
    }
    let (heard, sent) = reader.join().unwrap();
    assert_eq!(heard, sent);
}

#[test]
fn an_openssl_client_is_accepted_and_understood() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let own = issue(&CA, &request(A));
    let arguments = ["s_client", "-connect", &address, "-servername", B, "-verify_return_error"];
    let mut peer = openssl(folder.path(), &own, &arguments);
    let (mut stream, _) = accept(&listener);
    let (mut established, pending) = shake(End::accept(&credentials(B)), &mut stream);
    assert_eq!(established.identity.as_ref().unwrap().dns_name, A);
    talk(&mut peer, &mut established, &mut stream, pending);
}

/// A connection within [`PATIENCE`].
fn accept(listener: &TcpListener) -> (TcpStream, std::net::SocketAddr) {
    listener.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, from)) => {
                stream.set_nonblocking(false).unwrap();
                return (stream, from);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn an_openssl_server_is_dialled_and_understood() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let own = issue(&CA, &request(B));
    let address = format!("127.0.0.1:{port}");
    let arguments =
        ["s_server", "-accept", &address, "-Verify", "1", "-verify_return_error", "-naccept", "1"];
    let mut peer = openssl(folder.path(), &own, &arguments);
    let deadline = Instant::now() + PATIENCE;
    let mut stream = loop {
        match TcpStream::connect(&address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        thread::sleep(Duration::from_millis(20));
    };
    let (mut established, pending) = shake(End::dial(&credentials(A), B), &mut stream);
    assert_eq!(established.identity.as_ref().unwrap().dns_name, B);
    // Tickets come first; they are no frames.
    talk(&mut peer, &mut established, &mut stream, pending);
}
