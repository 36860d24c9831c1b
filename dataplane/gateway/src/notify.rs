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
    latest: Mutex<Latest>,
    changed: Condvar,
}

/// What was not passed on yet.
#[derive(Default)]
struct Latest {
    state: Option<NotifyState<'static>>,
    /// A sign of life, which takes the place of no state.
    alive: bool,
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
        self.pass(|latest| latest.state = Some(state));
    }

    /// A sign of life for the watchdog.
    pub(crate) fn alive(&self) {
        self.pass(|latest| latest.alive = true);
    }

    fn pass(&self, change: impl FnOnce(&mut Latest)) {
        if let Some(waiting) = &self.waiting {
            change(&mut waiting.latest.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.changed.notify_one();
        }
    }
}

impl Waiting {
    fn pass_on(&self) {
        loop {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            while latest.state.is_none() && !latest.alive {
                latest = self.changed.wait(latest).unwrap_or_else(PoisonError::into_inner);
            }
            let Latest { state, alive } = std::mem::take(&mut *latest);
            drop(latest);
            let states: Vec<_> = state.into_iter().chain(alive.then_some(NotifyState::Watchdog)).collect();
            if let Err(error) = sd_notify::notify(&states) {
                tracing::warn!(%error, "cannot notify the service manager");
            }
        }
    }
}
