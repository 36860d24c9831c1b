//! Versions of the configuration, whoever put them into force.

use std::sync::Arc;
use std::time::Duration;

use gridway_control::{InForce, Reply, Request};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::node::NodeError;
use crate::recorder::{AGAIN, Recorder, UNKNOWN};

/// How often the configuration is looked at: a change by the control socket or a signal is told by nobody.
const LOOK: Duration = Duration::from_secs(1);
/// How often a version that is known is kept again, in looks: the database may have been begun afresh.
const KEEP_AGAIN: u32 = 60;

impl Recorder {
    pub(super) async fn follow_config(self, changed: Arc<Notify>) {
        let (mut seen, mut looks) = (None, 0);
        loop {
            match self.look(&mut seen, looks % KEEP_AGAIN == 0).await {
                Ok(()) => {
                    looks += 1;
                    // A change through the API is looked at without delay.
                    drop(timeout(LOOK, changed.notified()).await);
                }
                Err(error) if error.is_not_found() => sleep(UNKNOWN).await,
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    async fn look(&self, seen: &mut Option<(String, u64, bool)>, again: bool) -> Result<(), NodeError> {
        let Reply::ConfigState(state) = self.node.ask_aside(Request::ConfigState).await? else {
            return Ok(());
        };
        let now = Some((state.digest, state.generation, state.pending.is_some()));
        if *seen == now && !again {
            return Ok(());
        }
        if let Reply::InForce(InForce { toml, state }) = self.node.ask_aside(Request::InForce).await? {
            // What is kept is what came with the text: another change may lie between the two answers.
            *seen = Some((state.digest.clone(), state.generation, state.pending.is_some()));
            self.store.keep_version(toml, state);
        }
        Ok(())
    }
}
