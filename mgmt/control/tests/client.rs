//! The client against a real Unix socket.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{self, JoinHandle};

use gridway_control::{
    Client, ClientError, Failure, FailureKind, Reply, Request, RequestBuffer, RouteRow, encode_reply,
};

/// Serves one connection: reads requests as the node does and writes what `answer` makes of each.
fn serve(path: &Path, answer: fn(&Request) -> Vec<u8>) -> JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = RequestBuffer::default();
        let mut piece = [0; 7];
        loop {
            let length = stream.read(&mut piece).unwrap();
            if length == 0 {
                return;
            }
            buffer.feed(&piece[..length]);
            while let Some(request) = buffer.next_request().unwrap() {
                let line = answer(&request);
                if line.is_empty() {
                    return;
                }
                stream.write_all(&line).unwrap();
            }
        }
    })
}

fn route() -> RouteRow {
    RouteRow {
        vnet: "corp".into(),
        to: "10.200.2.0/24".into(),
        via: "gw-b".into(),
        metric: 10,
        available: true,
        chosen: true,
        monitor: None,
    }
}

fn routes_or_refuse(request: &Request) -> Vec<u8> {
    let reply = match request {
        Request::Routes => Reply::Routes(vec![route()]),
        Request::Peers => Reply::Routes(Vec::new()),
        _ => Reply::Error(Failure::new(FailureKind::Internal, "no")),
    };
    encode_reply(&reply).unwrap()
}

#[test]
fn asks_several_times_over_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sock");
    let server = serve(&path, routes_or_refuse);
    let mut client = Client::connect(&path).unwrap();
    assert_eq!(client.ask(&Request::Routes).unwrap(), Reply::Routes(vec![route()]));
    assert!(matches!(client.ask(&Request::Status), Err(ClientError::Refused(_))));
    assert!(matches!(client.ask(&Request::Peers), Err(ClientError::Mismatch)));
    assert_eq!(client.ask(&Request::Routes).unwrap(), Reply::Routes(vec![route()]));
    drop(client);
    server.join().unwrap();
}

#[test]
fn says_when_the_node_hangs_up_or_talks_nonsense() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent.sock");
    let server = serve(&path, |_| Vec::new());
    assert!(matches!(Client::connect(&path).unwrap().ask(&Request::Status), Err(ClientError::Closed)));
    server.join().unwrap();

    let path = folder.path().join("nonsense.sock");
    let server = serve(&path, |_| b"hello\n".to_vec());
    assert!(matches!(Client::connect(&path).unwrap().ask(&Request::Status), Err(ClientError::Codec(_))));
    server.join().unwrap();
}

#[test]
fn names_the_socket_that_nobody_serves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.sock");
    let error = Client::connect(&path).unwrap_err();
    assert!(error.to_string().contains("none.sock"), "{error}");
}
