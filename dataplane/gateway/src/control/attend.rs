//! One client of the control socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gridway_control::{Failure, FailureKind, Reply, Request, RequestBuffer, encode_reply};

use super::{answers, follow};
use crate::change::Task;
use crate::node::Node;

/// How long a client may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A difference that takes longer to find is shown in larger pieces.
const LONGEST_COMPARISON: Duration = Duration::from_secs(2);

/// Memory for one request that carries a configuration; all clients share it.
#[derive(Debug, Default)]
pub(super) struct ConfigRoom(AtomicBool);

/// The room, taken.
struct Taken<'a>(&'a ConfigRoom);

impl ConfigRoom {
    fn take(&self) -> Option<Taken<'_>> {
        (!self.0.swap(true, Ordering::AcqRel)).then_some(Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// Serves a client until it has gone.
pub(super) fn attend(node: &Arc<Node>, mut stream: UnixStream, room: &ConfigRoom) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let user = match rustix::net::sockopt::socket_peercred(&stream) {
        Ok(peer) => {
            let uid = peer.uid.as_raw();
            tracing::debug!(pid = peer.pid.as_raw_nonzero(), uid, "control client");
            user_name(uid)
        }
        Err(error) => return Err(error.into()),
    };
    let (mut buffer, mut bytes) = (RequestBuffer::default(), [0; 16384]);
    let mut taken: Option<Taken<'_>> = None;
    loop {
        loop {
            match buffer.next_request() {
                Ok(Some(request)) => {
                    let reply = serve(node, &mut stream, request, &user)?;
                    drop(taken.take());
                    send(&mut stream, &reply)?;
                }
                Ok(None) => break,
                Err(error) => {
                    let failure = Failure::new(FailureKind::BadRequest, error.to_string());
                    return send(&mut stream, &Reply::Error(failure));
                }
            }
        }
        if buffer.wants_more() {
            taken = room.take();
            if taken.is_none() {
                let busy = "another client is sending a configuration; try again in a moment";
                return send(&mut stream, &Reply::Error(Failure::new(FailureKind::Busy, busy)));
            }
            buffer.allow_config();
        }
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            count => buffer.feed(&bytes[..count]),
        }
    }
}

/// The last reply to a request: the only one, unless its answer is a list that comes row by row.
fn serve(node: &Arc<Node>, stream: &mut UnixStream, request: Request, user: &str) -> io::Result<Reply> {
    let (task, by) = match request {
        Request::Apply(mut proposal) => {
            let by = proposal.by.take();
            (Task::Apply(proposal), by)
        }
        Request::Confirm { by } => (Task::Confirm, by),
        Request::Rollback { by } => (Task::Rollback, by),
        Request::Judge { toml } => return Ok(judge(node, &toml, user)),
        request if request.is_followed() => return follow::follow(node, stream, &request),
        request => return Ok(answers::answer(node, &request)),
    };
    Ok(node.desk.ask(task, by.unwrap_or_else(|| user.to_owned())))
}

/// What the node thinks of a configuration. The comparison, which may take long, holds up this client alone.
fn judge(node: &Node, toml: &str, user: &str) -> Reply {
    let mut reply = node.desk.ask(Task::Judge(toml.to_owned()), user.to_owned());
    if let Reply::Judgement(judgement) = &mut reply {
        let in_force = node.in_force.load();
        let mut comparison = similar::TextDiff::configure();
        let diff = comparison.timeout(LONGEST_COMPARISON).diff_lines(in_force.version.toml.as_str(), toml);
        judgement.diff = diff.unified_diff().context_radius(3).header("in force", "proposed").to_string();
    }
    reply
}

/// Writes one reply.
pub(super) fn send(stream: &mut UnixStream, reply: &Reply) -> io::Result<()> {
    let bytes = encode_reply(reply)
        .or_else(|error| encode_reply(&Reply::Error(Failure::new(FailureKind::Internal, error.to_string()))));
    stream.write_all(&bytes.map_err(io::Error::other)?)
}

/// The name of a user of this machine; the number where it has none.
fn user_name(uid: u32) -> String {
    let named = std::fs::read_to_string("/etc/passwd").ok().and_then(|users| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        })
    });
    named.unwrap_or_else(|| format!("uid {uid}"))
}
