//! Start, signals and end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_config::ManagementConfig;
use sd_notify::NotifyState;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::timeout;

use crate::api::{self, Parts};
use crate::feed::Feed;
use crate::local;
use crate::node::Node;
use crate::recorder::Recorder;
use crate::server::{self, Doors, TrustWatch};
use crate::store::Store;
use crate::webhook::{Poster, WebhookCounters};

/// How often changed certificates are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// How long changes under way may take to end when the process does: as long as the data plane is waited for.
const FAREWELL: Duration = Duration::from_secs(10);
/// Threads for what blocks: questions to the data plane, posts, names that are resolved.
const BLOCKING: usize = 24;

/// Runs until it is told to end.
pub(crate) fn run(config: ManagementConfig) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let (damaged, damage) = mpsc::unbounded_channel();
    let (store, thread) = Store::start(config.store.path.clone(), damaged)
        .context("cannot start the thread of the database")?;
    let outcome = runtime.block_on(serve(config, store, damage));
    // Questions that wait for the data plane are not waited for.
    runtime.shutdown_background();
    // What was to be kept is kept: every way to the database is gone, so its thread comes to an end.
    drop(thread.join());
    outcome
}

async fn serve(
    config: ManagementConfig,
    store: Store,
    damage: mpsc::UnboundedReceiver<std::path::PathBuf>,
) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let ManagementConfig { node, api, store: keep, webhook, local, .. } = config;

    let rate = api.requests_per_second;
    let (address, interface) = (api.listen, api.interface.clone());
    let mut watch = TrustWatch::load(api)?;
    let trust = watch.trust();
    let listener = server::listen(address, interface.as_str())
        .with_context(|| format!("api.listen = \"{address}\" on {interface}"))?;
    let local_listener = gridway_control::bind_socket(&local.socket)?;
    local_listener.set_nonblocking(true)?;
    let local_listener = UnixListener::from_std(local_listener)?;

    let (feed, changed, doors) = (Arc::new(Feed::new()), Arc::<Notify>::default(), Arc::new(Doors::new()));
    let webhook_counters = Arc::<WebhookCounters>::default();
    let poster = webhook.map(|webhook| Poster::new(&webhook, webhook_counters.clone())).transpose()?;
    let node = Node::new(node.socket);
    let (stop, stopped) = watch::channel(false);
    let changes = Arc::new(Semaphore::new(api::CHANGES));
    let router = api::router(Parts {
        node: node.clone(),
        store: store.clone(),
        feed: feed.clone(),
        trust: trust.clone(),
        doors: doors.clone(),
        webhook: webhook_counters,
        changed: changed.clone(),
        changes: changes.clone(),
        stop: stopped.clone(),
        requests_per_second: rate,
    })
    .context("cannot describe the API")?;

    let mut tasks = Recorder::new(node, store.clone(), feed.clone()).start(&keep, changed, damage);
    if let Some(poster) = poster {
        tasks.spawn(poster.run(feed, trust.clone()));
    }
    tasks.spawn(local::serve(local_listener, store));
    let serving = tokio::spawn(server::serve(listener, doors, trust, router, stopped));
    tracing::info!(%address, %interface, local = %local.socket.display(), "ready");
    notify(NotifyState::Ready);

    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => watch.check(),
            _ = looks.tick() => watch.check(),
        }
    }
    tracing::info!("stopping");
    notify(NotifyState::Stopping);
    stop.send_replace(true);
    // A task that panicked has been reported.
    drop(serving.await);
    // What came of a change is audited, also when its client has gone.
    let all = u32::try_from(api::CHANGES).expect("a small constant");
    drop(timeout(FAREWELL, changes.acquire_many(all)).await);
    tasks.shutdown().await;
    remove_socket(&local.socket);
    Ok(())
}

/// Tells the service manager, if there is one.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

fn remove_socket(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "cannot remove the local socket");
    }
}
