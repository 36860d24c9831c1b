//! Holds a contender at work in the laboratory, for a profiler or for one's own tools.

use std::io::Read;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use gridway_lab::{EchoServer, Lab, Side};
use serde_json::json;

use crate::contender::{Contender, ECHO};

/// Starts it, prints a line of JSON (its processes, what h1 calls h2, how to enter each namespace), and ends it when
/// standard input ends.
pub(crate) fn run(contender: Contender) -> Result<()> {
    let lab = Lab::new().context("cannot build the laboratory")?;
    let _echo_server = EchoServer::tcp(lab.h2(), SocketAddr::from((Side::B.host(0), ECHO)))?;
    let running = contender.start(&lab)?;
    let enter = |namespace: &gridway_lab::Namespace| {
        let command = format!("nsenter --net={}", namespace.path().display());
        (namespace.name().to_owned(), json!(command))
    };
    let namespaces: serde_json::Map<_, _> = lab.namespaces().map(enter).collect();
    println!("{}", json!({ "pids": running.pids(), "target": contender.target(), "enter": namespaces }));
    // End of input or a broken one: either way nobody wants it any more.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    running.stop()
}
