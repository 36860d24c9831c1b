//! One client of the control socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gridway_control::{
    Failure, FailureKind, Judgement, Proposal, Reply, Request, RequestBuffer, encode_reply,
};

use super::{answers, follow};
use crate::change::{self, Task, Terms};
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
            User::of(uid)
        }
        Err(error) => return Err(error.into()),
    };
    let (mut buffer, mut bytes) = (RequestBuffer::default(), [0; 16384]);
    // Held for as long as one whole request may take to come.
    let mut taken: Option<(Taken<'_>, Instant)> = None;
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
            taken = room.take().map(|taken| (taken, Instant::now()));
            if taken.is_none() {
                let busy = "another client is sending a configuration; try again in a moment";
                return send(&mut stream, &Reply::Error(Failure::new(FailureKind::Busy, busy)));
            }
            buffer.allow_config();
        }
        if taken.as_ref().is_some_and(|(_, since)| since.elapsed() > PATIENCE) {
            let late = "the configuration took too long to come";
            return send(&mut stream, &Reply::Error(Failure::new(FailureKind::BadRequest, late)));
        }
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            count => buffer.feed(&bytes[..count]),
        }
    }
}

/// The last reply to a request: the only one, unless its answer is a list that comes row by row.
fn serve(node: &Arc<Node>, stream: &mut UnixStream, request: Request, user: &User) -> io::Result<Reply> {
    Ok(match request {
        Request::Apply(Proposal { toml, confirm_within_s, base, by }) => match change::read(toml, &node.file)
        {
            Ok(opened) => {
                let (opened, terms) = (Box::new(opened), Terms { confirm_within_s, base });
                node.desk.ask(Task::Apply { opened, terms }, user.acting_for(by))
            }
            Err(errors) => Reply::Error(Failure::new(FailureKind::Invalid, errors.to_string())),
        },
        Request::Confirm { digest, by } => node.desk.ask(Task::Confirm { digest }, user.acting_for(by)),
        Request::Rollback { digest, by } => node.desk.ask(Task::Rollback { digest }, user.acting_for(by)),
        Request::Judge { toml } => judge(node, toml, user),
        request if request.is_followed() => return follow::follow(node, stream, &request),
        request => answers::answer(node, &request),
    })
}

/// What the node thinks of a configuration. Reading and comparing it, which may take long, hold up this client alone.
fn judge(node: &Node, toml: String, user: &User) -> Reply {
    let proposed = toml.clone();
    let opened = match change::read(toml, &node.file) {
        Ok(opened) => opened,
        Err(errors) => {
            let errors = errors.errors().iter().map(ToString::to_string).collect();
            return Reply::Judgement(Judgement { errors, ..Judgement::default() });
        }
    };
    let mut reply = node.desk.ask(Task::Judge(Box::new(opened)), user.acting_for(None));
    if let Reply::Judgement(judgement) = &mut reply {
        let in_force = node.in_force.load();
        let mut comparison = similar::TextDiff::configure();
        let comparison = comparison.timeout(LONGEST_COMPARISON);
        let diff = comparison.diff_lines(in_force.version.toml.as_str(), proposed.as_str());
        judgement.diff = diff.unified_diff().context_radius(3).header("in force", "proposed").to_string();
    }
    reply
}

/// Who is at the other end of the socket.
struct User {
    name: String,
    /// Whether it may speak for others: root does for whoever used sudo, the management process for those whose
    /// certificates it has seen.
    speaks_for_others: bool,
}

impl User {
    /// User of the management process.
    const MANAGEMENT: &'static str = "gridway-mgmt";
    /// Letters of a name that are kept.
    const LONGEST_NAME: usize = 64;

    fn of(uid: u32) -> Self {
        let name = user_name(uid);
        let speaks_for_others = uid == 0 || name == Self::MANAGEMENT;
        Self { name, speaks_for_others }
    }

    /// The name that stands in the records.
    fn acting_for(&self, named: Option<String>) -> String {
        let Some(named) = named else { return self.name.clone() };
        let named: String = named.chars().filter(|c| !c.is_control()).take(Self::LONGEST_NAME).collect();
        if self.speaks_for_others { named } else { format!("{} as {named}", self.name) }
    }
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
