//! Events on their way to somebody else's HTTPS server: one at a time, tried again for a while, dropped and counted
//! beyond that.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use gridway_config::{Webhook, WebhookSeverity};
use gridway_control::{EventRow, Severity};
use rustls::crypto::aws_lc_rs;
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::feed::Feed;
use crate::server::Trust;

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// For how long an event is tried again.
const PATIENCE: Duration = Duration::from_secs(300);
/// Wait before the second try; it doubles from try to try.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Numbers for the metrics.
#[derive(Debug, Default)]
pub(crate) struct WebhookCounters {
    /// Events that were taken.
    pub(crate) posted: AtomicU64,
    /// Events that were given up, or forgotten while others were tried.
    pub(crate) dropped: AtomicU64,
}

/// Why events cannot be posted at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    /// The file of the CA.
    #[error("webhook.ca {path}: {reason}")]
    Ca { path: String, reason: String },
}

/// What is posted.
#[derive(Serialize)]
struct Posted<'a> {
    node: &'a str,
    instance: &'a str,
    #[serde(flatten)]
    event: &'a EventRow,
}

/// What was posted lately: of an event that goes on occurring one in a while is enough.
#[derive(Debug, Default)]
struct Lately(HashMap<(String, String), u64>);

impl Lately {
    /// A repetition is posted this long after the one before, milliseconds.
    const AGAIN_MS: u64 = 60_000;
    /// Events that are remembered.
    const MOST: usize = 4096;

    /// Whether an event is to be posted: it occurs for the first time, or again after a while.
    fn is_news(&mut self, row: &EventRow) -> bool {
        let event = (row.kind.clone(), row.subject.clone());
        let again = |posted: &u64| row.last_ms.saturating_sub(*posted) >= Self::AGAIN_MS;
        if row.count > 1 && self.0.get(&event).is_some_and(|posted| !again(posted)) {
            return false;
        }
        if self.0.len() >= Self::MOST {
            self.0.retain(|_, posted| !again(posted));
        }
        if self.0.len() < Self::MOST {
            self.0.insert(event, row.last_ms);
        }
        true
    }
}

/// Posts events.
pub(crate) struct Poster {
    url: String,
    least: Severity,
    agent: Agent,
    counters: Arc<WebhookCounters>,
}

impl Poster {
    /// # Errors
    /// [`WebhookError`].
    pub(crate) fn new(webhook: &Webhook, counters: Arc<WebhookCounters>) -> Result<Self, WebhookError> {
        let roots = match &webhook.ca {
            Some(path) => roots(path)?,
            None => RootCerts::PlatformVerifier,
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
        let config = Agent::config_builder()
            .https_only(true)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .tls_config(tls)
            .user_agent("gridway-mgmt")
            .build();
        let least = match webhook.severity {
            WebhookSeverity::Info => Severity::Info,
            WebhookSeverity::Warning => Severity::Warning,
            WebhookSeverity::Error => Severity::Error,
        };
        Ok(Self { url: webhook.url.clone(), least, agent: config.into(), counters })
    }

    /// Posts what `feed` brings. What the feed forgets meanwhile is dropped.
    pub(crate) async fn run(self, feed: Arc<Feed>, trust: Arc<ArcSwap<Trust>>) {
        let mut position = feed.end();
        let mut lately = Lately::default();
        loop {
            let item = feed.next(position).await;
            self.counters.dropped.fetch_add(item.position - position, Ordering::Relaxed);
            position = item.position + 1;
            if item.row.severity < self.least || !lately.is_news(&item.row) {
                continue;
            }
            let node = trust.load().node.clone();
            let posted = Posted { node: &node, instance: &item.instance, event: &item.row };
            let taken = match serde_json::to_string(&posted) {
                Ok(text) => self.post(text).await,
                Err(_) => false,
            };
            let counter = if taken { &self.counters.posted } else { &self.counters.dropped };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether it was taken in the end.
    async fn post(&self, text: String) -> bool {
        let (begin, mut wait) = (Instant::now(), FIRST_WAIT);
        loop {
            let (agent, url, body) = (self.agent.clone(), self.url.clone(), text.clone());
            let tried = spawn_blocking(move || {
                agent.post(&url).header("content-type", "application/json").send(body).map(|_| ())
            });
            let error = match tried.await {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            if begin.elapsed() + wait > PATIENCE {
                tracing::error!(url = self.url, "an event was not posted and is dropped: {error}");
                return false;
            }
            tracing::debug!(url = self.url, "an event is not posted yet: {error}");
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

fn roots(path: &Path) -> Result<RootCerts, WebhookError> {
    let refused = |reason: String| WebhookError::Ca { path: path.display().to_string(), reason };
    let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let mut roots = Vec::new();
    for item in parse_pem(&text) {
        match item.map_err(|error| refused(error.to_string()))? {
            PemItem::Certificate(certificate) => roots.push(certificate),
            _ => return Err(refused("it holds something else than certificates".to_owned())),
        }
    }
    if roots.is_empty() {
        return Err(refused("no certificate found".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&roots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_goes_on_one_a_minute_is_posted() {
        let row = |count, last_ms, subject: &str| EventRow {
            number: count,
            first_ms: 0,
            last_ms,
            count,
            severity: Severity::Warning,
            kind: "tunnel_refused".to_owned(),
            subject: subject.to_owned(),
            message: String::new(),
        };
        let mut lately = Lately::default();
        assert!(lately.is_news(&row(1, 0, "gw-b")));
        assert!(!lately.is_news(&row(2, 1_000, "gw-b")));
        assert!(lately.is_news(&row(1, 1_000, "gw-c")), "another one");
        assert!(!lately.is_news(&row(3, 59_999, "gw-b")));
        assert!(lately.is_news(&row(4, 60_000, "gw-b")));
        assert!(lately.is_news(&row(1, 60_001, "gw-b")), "it began anew");
    }
}
