//! What the service manager is told (`sd_notify`), if there is one.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use sd_notify::NotifyState;

/// Passes states on. A service manager that does not read its socket holds up nobody: the latest state waits for it,
/// earlier ones are of no interest then.
pub(crate) struct Notifier {
    waiting: Option<Arc<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    latest: Mutex<Option<NotifyState<'static>>>,
    changed: Condvar,
}

impl Notifier {
    /// Without a service manager it does nothing.
    pub(crate) fn new() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self { waiting: None };
        }
        let waiting = Arc::<Waiting>::default();
        let there = waiting.clone();
        match thread::Builder::new().name("notify".into()).spawn(move || there.pass_on()) {
            Ok(_) => Self { waiting: Some(waiting) },
            Err(error) => {
                tracing::warn!(%error, "cannot notify the service manager");
                Self { waiting: None }
            }
        }
    }

    pub(crate) fn tell(&self, state: NotifyState<'static>) {
        if let Some(waiting) = &self.waiting {
            *waiting.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
            waiting.changed.notify_one();
        }
    }
}

impl Waiting {
    fn pass_on(&self) {
        loop {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            let state = loop {
                match latest.take() {
                    Some(state) => break state,
                    None => latest = self.changed.wait(latest).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(latest);
            if let Err(error) = sd_notify::notify(&[state]) {
                tracing::warn!(%error, "cannot notify the service manager");
            }
        }
    }
}
