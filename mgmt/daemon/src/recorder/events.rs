//! Events of the data plane, and whether it is there at all.

use gridway_control::{Events, Reply, Request, Severity};
use tokio::time::sleep;

use crate::node::NodeError;
use crate::recorder::{AGAIN, Recorder, UNKNOWN};

/// Failures in a row that make the data plane unreachable: a restart is not one.
const FAILURES: u32 = 5;

impl Recorder {
    pub(super) async fn follow_events(self) {
        // Without a database what is remembered comes again.
        let kept = self.store.events_up_to().await.ok().flatten();
        let (mut instance, mut after) = kept.unwrap_or_default();
        let mut failures = 0;
        loop {
            // Behind a failure there may be another process, which would wait for a number that it is far from.
            let wait_ms = if failures > 0 { 0 } else { Request::LONGEST_WAIT_MS };
            let request = Request::Events { after, wait_ms };
            let outcome = self.node.ask_aside(request).await;
            match &outcome {
                Err(NodeError::Unreachable(error)) => {
                    failures += 1;
                    if failures == FAILURES {
                        let message = format!("the data plane does not answer: {error}");
                        self.own.tell(&self.store, Severity::Error, "node_unreachable", "node", &message);
                    }
                    sleep(AGAIN).await;
                    continue;
                }
                _ => {
                    if failures >= FAILURES {
                        let message = "the data plane answers again";
                        self.own.tell(&self.store, Severity::Info, "node_reachable", "node", message);
                    }
                    failures = 0;
                }
            }
            match outcome {
                Ok(Reply::Events(events)) if events.instance != instance => {
                    // Another process counts from the beginning.
                    let begin = after == 0;
                    (instance, after) = (events.instance.clone(), 0);
                    if begin {
                        after = self.take(events);
                    }
                }
                Ok(Reply::Events(events)) => after = self.take(events),
                Err(error) if error.is_not_found() => sleep(UNKNOWN).await,
                _ => sleep(AGAIN).await,
            }
        }
    }

    /// Passes events on; says where to go on.
    fn take(&self, events: Events) -> u64 {
        let Events { instance, last, missed, rows } = events;
        if missed > 0 {
            tracing::warn!(missed, "the data plane forgot events before they were asked for");
        }
        if !rows.is_empty() {
            self.feed.publish(&instance, &rows);
            self.store.keep_events_up_to(instance, last, rows);
        }
        last
    }
}
