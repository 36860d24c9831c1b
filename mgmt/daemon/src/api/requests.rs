//! How requests ended, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;

/// Responses by status class.
#[derive(Debug, Default)]
pub(crate) struct RequestCounters {
    classes: [AtomicU64; 6],
}

impl RequestCounters {
    pub(super) fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).min(self.classes.len() - 1);
        self.classes[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Class such as `2xx`, and how many.
    pub(crate) fn by_class(&self) -> impl Iterator<Item = (String, u64)> {
        let all = self.classes.iter().enumerate().skip(2);
        all.map(|(class, count)| (format!("{class}xx"), count.load(Ordering::Relaxed)))
    }
}
