//! What the service manager is told (`sd_notify`), if there is one.

use std::thread;

use crossbeam::channel::{Sender, bounded};
use sd_notify::NotifyState;

/// States that wait for a service manager that does not read.
const WAITING: usize = 8;

/// Passes states on. A service manager that does not read its socket holds up nobody.
pub(crate) struct Notifier {
    states: Option<Sender<NotifyState<'static>>>,
}

impl Notifier {
    /// Without a service manager it does nothing.
    pub(crate) fn new() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self { states: None };
        }
        let (states, waiting) = bounded(WAITING);
        let run = move || {
            for state in waiting {
                if let Err(error) = sd_notify::notify(&[state]) {
                    tracing::warn!(%error, "cannot notify the service manager");
                }
            }
        };
        match thread::Builder::new().name("notify".into()).spawn(run) {
            Ok(_) => Self { states: Some(states) },
            Err(error) => {
                tracing::warn!(%error, "cannot notify the service manager");
                Self { states: None }
            }
        }
    }

    pub(crate) fn tell(&self, state: NotifyState<'static>) {
        if let Some(states) = &self.states
            && states.try_send(state).is_err()
        {
            tracing::warn!("the service manager does not read what it is told");
        }
    }
}
