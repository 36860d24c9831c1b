//! Versions of the configuration, whoever put them into force.

use std::sync::Arc;
use std::time::Duration;

use gridway_control::{ConfigState, InForce, Reply, Request};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::node::NodeError;
use crate::recorder::{AGAIN, Recorder, UNKNOWN};

/// How often the configuration is looked at: a change by the control socket or a signal is told by nobody.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two tries to keep a version that may be missing: its text may be long, and the disk full.
const KEPT_AGAIN: u32 = 10;

/// What was seen last: digest, generation, whether it awaits confirmation, and what the database had lost by then.
type Seen = (String, u64, bool, u64);

impl Recorder {
    pub(super) async fn follow_config(self, changed: Arc<Notify>) {
        let (mut seen, mut looks) = (None, 0u32);
        loop {
            looks = looks.wrapping_add(1);
            match self.look(&mut seen, looks.is_multiple_of(KEPT_AGAIN)).await {
                // A change through the API is looked at without delay.
                Ok(()) => drop(timeout(LOOK, changed.notified()).await),
                Err(error) if error.is_not_found() => sleep(UNKNOWN).await,
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    async fn look(&self, seen: &mut Option<Seen>, again: bool) -> Result<(), NodeError> {
        let Reply::ConfigState(state) = self.node.ask_aside(Request::ConfigState).await? else {
            return Ok(());
        };
        let same = |state: &ConfigState, seen: &Seen| {
            let lost_nothing = seen.3 == self.store.losses() || !again;
            (&seen.0, seen.1, seen.2) == (&state.digest, state.generation, state.pending.is_some())
                && lost_nothing
        };
        if seen.as_ref().is_some_and(|seen| same(&state, seen)) {
            return Ok(());
        }
        if let Reply::InForce(InForce { toml, state }) = self.node.ask_aside(Request::InForce).await? {
            let losses = self.store.losses();
            // What is kept is what came with the text: another change may lie between the two answers.
            *seen = Some((state.digest.clone(), state.generation, state.pending.is_some(), losses));
            self.store.keep_version(toml, state);
        }
        Ok(())
    }
}
