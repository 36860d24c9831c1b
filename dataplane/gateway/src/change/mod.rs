//! Changes of the configuration: each is taken whole or not at all, and one that nobody confirms is undone.
//!
//! They belong to the main thread, which also keeps the deadline: a change that cut off whoever made it, and the
//! management process with them, is undone all the same. The node's file is replaced when a change is final, so that a
//! restart begins with the last configuration that was meant to stay.

mod desk;
mod saved;
mod version;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Result;
use gridway_control::{Failure, FailureKind, Judgement, Pending, Reply, Severity};
use gridway_forwarding::Registry;
use gridway_tunnel::Credentials;
use gridway_wire::time::Nanos;

use crate::events::Kind;
use crate::node::Node;
use crate::reload::Prepared;
use crate::steering;

pub(crate) use self::desk::{Ask, Desk, Task, Terms};
use self::saved::{SaveError, Stamp};
pub(crate) use self::version::{InForce, Opened, Version, open, read};

/// Longest time that a change may await confirmation.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How soon what could not be undone is tried again.
const AGAIN: Duration = Duration::from_secs(1);

fn refuse(kind: FailureKind, message: impl Into<String>) -> Reply {
    Reply::Error(Failure::new(kind, message))
}

/// What comes back unless somebody confirms.
struct Undo {
    version: Arc<Version>,
    credentials: Arc<Credentials>,
    saved: bool,
    stamp: Option<Stamp>,
    deadline: Nanos,
}

/// The main thread's part.
pub(crate) struct Changes {
    registry: Registry,
    undo: Option<Undo>,
    /// Digest of what the node wrote to its file or read from it last.
    on_file: String,
}

impl Changes {
    /// The node's file holds what is in force.
    pub(crate) fn new(node: &Node, registry: Registry) -> Self {
        Self { registry, undo: None, on_file: node.in_force.load().version.digest.clone() }
    }

    /// Does what a control client asked for.
    pub(crate) fn handle(&mut self, node: &Node, ask: Ask) {
        let Ask { task, by, answer } = ask;
        let reply = match task {
            Task::Apply { opened, terms } => self.apply(node, *opened, terms, by),
            Task::Confirm { digest } => self.confirm(node, digest, &by),
            Task::Rollback { digest } => self.roll_back(node, digest, &by),
            Task::Judge(opened) => Reply::Judgement(self.judge(node, *opened)),
        };
        // A client that has gone learns it from the state.
        drop(answer.send(reply));
        self.settle(node);
    }

    /// Does what may wait until a change is in force or was refused.
    fn settle(&self, node: &Node) {
        steering::settle(node, self.undo.is_none());
    }

    /// Undoes a change that nobody confirmed in time.
    pub(crate) fn handle_timeout(&mut self, node: &Node) {
        if self.undo.as_ref().is_some_and(|undo| node.clock.now() >= undo.deadline) {
            let pending = node.in_force.load().pending(node);
            let maker = pending.map_or_else(String::new, |pending| pending.by);
            if self.undo(node, "nobody confirmed").is_ok() {
                let terms = "the one before the change by this name, which nobody confirmed in time";
                changed(node, Severity::Warning, &maker, terms);
            }
            self.settle(node);
        }
    }

    /// Takes what the node's file holds into force, unless anything about it is wrong.
    pub(crate) fn reload(&mut self, node: &Node) {
        let outcome = self.try_reload(node);
        let error = outcome.err().map(|error| format!("{error:#}"));
        match &error {
            None => changed(node, Severity::Info, "reload", "from the node's file"),
            Some(error) => {
                let message = format!("configuration refused, the old one stays in force: {error}");
                node.events.record(Severity::Error, Kind::ConfigurationRefused, "reload", message);
                // A signal has its file opened anew all the same: it may have been renamed.
                node.flow_log.configure(node.flows.journal(), node.config.load().flow_log.clone());
            }
        }
        *node.last_reload_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
        self.settle(node);
    }

    fn try_reload(&mut self, node: &Node) -> Result<()> {
        if let Some(pending) = node.in_force.load().pending(node) {
            anyhow::bail!("{}", awaits_confirmation(&pending));
        }
        let opened = open(&node.file)?;
        // What is refused has used up no numbers.
        let mut registry = self.registry.clone();
        let prepared = Prepared::new(node, &mut registry, Arc::new(opened.config.clone()))?;
        opened.log_warnings();
        let mut version = opened.into_version(prepared.config.clone(), "reload", node.clock.unix_now());
        prepared.put_into_force(node)?;
        self.registry = registry;
        self.on_file.clone_from(&version.digest);
        let now = node.in_force.load();
        // The same text again is nobody's change.
        if now.version.digest == version.digest {
            version = now.version.clone();
        }
        node.in_force.store(Arc::new(InForce::of_file(version, &node.file)));
        Ok(())
    }

    /// What is wrong with a configuration that can be read; nothing is changed.
    fn judge(&self, node: &Node, opened: Opened) -> Judgement {
        let warnings = opened.warnings.iter().map(ToString::to_string).collect();
        let wrong = Prepared::new(node, &mut self.registry.clone(), Arc::new(opened.config)).err();
        let errors = wrong.map(|error| format!("{error:#}")).into_iter().collect();
        Judgement { errors, warnings, diff: String::new() }
    }

    fn apply(&mut self, node: &Node, opened: Opened, terms: Terms, by: String) -> Reply {
        let now = node.in_force.load_full();
        if let Some(pending) = now.pending(node) {
            return refuse(FailureKind::Conflict, awaits_confirmation(&pending));
        }
        if terms.base.is_some_and(|base| base != now.version.digest) {
            let Version { by, since, .. } = &*now.version;
            let changed = format!(
                "the configuration in force is not the one that this change was made from: {by} changed it at \
                 {since} (seconds since 1970); look at `gridway config diff` first"
            );
            return refuse(FailureKind::Conflict, changed);
        }
        let within = terms.confirm_within_s.map(Duration::from_secs);
        if within.is_some_and(|within| within.is_zero() || within > LONGEST) {
            let range = format!("the time to confirm within is 1 to {} seconds", LONGEST.as_secs());
            return refuse(FailureKind::BadRequest, range);
        }
        // What is refused has used up no numbers.
        let mut registry = self.registry.clone();
        let prepared = match Prepared::new(node, &mut registry, Arc::new(opened.config.clone())) {
            Ok(prepared) => prepared,
            Err(error) => return refuse(FailureKind::Invalid, format!("{error:#}")),
        };
        opened.log_warnings();
        let version = opened.into_version(prepared.config.clone(), &by, node.clock.unix_now());
        // What can fail comes first: nothing has changed then.
        if let Err(error) = prepared.steer(node) {
            return refuse(FailureKind::Conflict, format!("{error:#}"));
        }
        if within.is_none()
            && let Err(error) = self.save(node, &version)
        {
            return refuse(error.kind(), error.to_string());
        }
        let credentials = node.credentials.load_full();
        if let Err(error) = prepared.put_into_force(node) {
            if within.is_none()
                && let Err(error) = self.save(node, &now.version)
            {
                tracing::error!("the node's file holds a configuration that is not in force: {error}");
            }
            return refuse(FailureKind::Internal, format!("{error:#}"));
        }
        self.registry = registry;
        let terms = within.map_or_else(
            || "saved".to_owned(),
            |within| format!("undone in {} s unless it is confirmed", within.as_secs()),
        );
        changed(node, Severity::Info, &by, &terms);
        let stamp = saved::stamp(&node.file);
        let mut in_force = InForce { version, pending: None, saved: within.is_none(), stamp };
        if let Some(within) = within {
            let deadline = node.clock.now() + within;
            in_force.pending = Some((by, deadline, now.version.digest.clone()));
            let (version, saved, stamp) = (now.version.clone(), now.saved, now.stamp);
            self.undo = Some(Undo { version, credentials, saved, stamp, deadline });
        }
        self.publish(node, in_force)
    }

    /// What to answer when a change is not the one that is meant: another may have come in its place.
    fn is_another(node: &Node, digest: Option<String>) -> Option<Reply> {
        let now = node.in_force.load();
        if digest.is_none_or(|meant| meant == now.version.digest) {
            return None;
        }
        let other =
            format!("the configuration in force is not the one that is meant, but one by {}", now.version.by);
        Some(refuse(FailureKind::Conflict, other))
    }

    fn confirm(&mut self, node: &Node, digest: Option<String>, by: &str) -> Reply {
        let now = node.in_force.load_full();
        if self.undo.is_none() && now.saved {
            return refuse(FailureKind::NotFound, "no change awaits confirmation");
        }
        if let Some(other) = Self::is_another(node, digest) {
            return other;
        }
        if let Err(error) = self.save(node, &now.version) {
            return refuse(error.kind(), error.to_string());
        }
        self.undo = None;
        changed(node, Severity::Info, by, "confirmed and saved");
        let (version, stamp) = (now.version.clone(), saved::stamp(&node.file));
        self.publish(node, InForce { version, pending: None, saved: true, stamp })
    }

    fn roll_back(&mut self, node: &Node, digest: Option<String>, by: &str) -> Reply {
        if self.undo.is_none() {
            return refuse(FailureKind::NotFound, "no change awaits confirmation");
        }
        if let Some(other) = Self::is_another(node, digest) {
            return other;
        }
        if let Err(error) = self.undo(node, by) {
            return refuse(FailureKind::Internal, format!("{error:#}"));
        }
        changed(node, Severity::Info, by, "the one before, by a rollback");
        Reply::ConfigState(node.in_force.load().state(node))
    }

    /// The configuration before the one that was not confirmed comes back. What cannot be undone now is tried again.
    fn undo(&mut self, node: &Node, by: &str) -> Result<()> {
        let Some(undo) = self.undo.take() else { return Ok(()) };
        let Undo { version, credentials, saved, stamp, .. } = &undo;
        let same_identity = node.config.load().identity == version.config.identity;
        let credentials = if same_identity { node.credentials.load_full() } else { credentials.clone() };
        // It was in force in this process: all its names have their numbers.
        let back = Prepared::again(node, &mut self.registry, version.config.clone(), credentials)
            .and_then(|prepared| prepared.put_into_force(node));
        if let Err(error) = back {
            tracing::error!("cannot go back to the configuration before, trying again: {error:#}");
            self.undo = Some(Undo { deadline: node.clock.now() + AGAIN, ..undo });
            return Err(error);
        }
        let Version { toml, config, digest, .. } = &**version;
        let back = Version {
            toml: toml.clone(),
            config: config.clone(),
            digest: digest.clone(),
            since: node.clock.unix_now(),
            by: by.to_owned(),
        };
        self.publish(node, InForce { version: Arc::new(back), pending: None, saved: *saved, stamp: *stamp });
        Ok(())
    }

    fn publish(&self, node: &Node, in_force: InForce) -> Reply {
        let state = in_force.state(node);
        node.in_force.store(Arc::new(in_force));
        Reply::ConfigState(state)
    }

    /// Replaces the node's file, unless somebody else has changed it meanwhile.
    fn save(&mut self, node: &Node, version: &Version) -> Result<(), SaveError> {
        saved::replace(&node.file, &self.on_file, &version.toml)?;
        self.on_file.clone_from(&version.digest);
        Ok(())
    }
}

/// Says which configuration is in force now.
fn changed(node: &Node, severity: Severity, by: &str, terms: &str) {
    let message = format!("configuration in force: generation {}, {terms}", node.policy.load().generation);
    node.events.record(severity, Kind::ConfigurationChanged, by, message);
}

fn awaits_confirmation(pending: &Pending) -> String {
    format!(
        "a change by {} awaits confirmation for another {} s: `gridway config confirm` or `rollback` first",
        pending.by, pending.left_s
    )
}
