//! The store over real files.

use std::fs;
use std::path::Path;

use gridway_control::{ConfigState, EventRow, Pending, Severity};
use tokio::sync::mpsc;

use super::*;

fn store(path: &Path) -> (Store, mpsc::UnboundedReceiver<PathBuf>) {
    let (sender, damaged) = mpsc::unbounded_channel();
    let (store, _thread) = Store::start(path.to_owned(), sender).unwrap();
    (store, damaged)
}

fn state(digest: &str, previous: Option<&str>) -> ConfigState {
    ConfigState {
        digest: digest.to_owned(),
        generation: 1,
        since: 1_700_000_000,
        by: "alice".to_owned(),
        pending: previous.map(|previous| Pending {
            by: "alice".to_owned(),
            left_s: 60,
            previous: previous.to_owned(),
        }),
        saved: true,
    }
}

async fn states(store: &Store) -> Vec<(u64, String, String)> {
    let rows = store.versions().await.unwrap();
    rows.into_iter().map(|row| (row.version, row.digest, row.state)).collect()
}

fn row(version: u64, digest: &str, state: &str) -> (u64, String, String) {
    (version, digest.to_owned(), state.to_owned())
}

fn event(number: u64, first_ms: u64, count: u64) -> EventRow {
    EventRow {
        number,
        first_ms,
        last_ms: first_ms + count,
        count,
        severity: Severity::Warning,
        kind: "tunnel_down".into(),
        subject: "gw-b".into(),
        message: "silent".into(),
    }
}

#[tokio::test]
async fn versions_follow_what_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _damaged) = store(&folder.path().join("node.db"));
    store.keep_version("a\n".into(), state("A", None));
    store.keep_version("a\n".into(), state("A", None));
    assert_eq!(states(&store).await, [row(1, "A", "in_force")]);
    store.keep_version("a\nb\n".into(), state("B", Some("A")));
    assert_eq!(states(&store).await, [row(2, "B", "pending"), row(1, "A", "replaced")]);
    // It was not confirmed; being told so again changes nothing.
    store.keep_version("a\n".into(), state("A", None));
    store.keep_version("a\n".into(), state("A", None));
    assert_eq!(states(&store).await, [row(2, "B", "undone"), row(1, "A", "in_force")]);
    // Again, and this time it was.
    store.keep_version("a\nb\n".into(), state("B", Some("A")));
    assert_eq!(states(&store).await[0], row(3, "B", "pending"));
    store.keep_version("a\nb\n".into(), state("B", None));
    store.keep_version("a\n".into(), state("A", None));
    let expected =
        [row(4, "A", "in_force"), row(3, "B", "replaced"), row(2, "B", "undone"), row(1, "A", "replaced")];
    assert_eq!(states(&store).await, expected);
    let rows = store.versions().await.unwrap();
    assert_eq!((rows[0].added, rows[0].removed, rows[0].by.as_str()), (0, 1, "alice"));
    assert_eq!(store.version(3).await.unwrap().unwrap().toml, "a\nb\n");
    assert_eq!(store.version(5).await.unwrap(), None);
}

#[tokio::test]
async fn a_sweep_forgets_what_is_old_and_keeps_the_last_versions() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _damaged) = store(&folder.path().join("node.db"));
    for (index, digest) in ["A", "B", "C", "A"].into_iter().enumerate() {
        store.keep_version(format!("{index}"), state(digest, None));
    }
    let now = crate::time::now_ms();
    store.keep_events("one".into(), vec![event(1, now - 3_000_000_000, 1), event(2, now, 1)]);
    store.sweep(Duration::from_secs(86_400), 2);
    assert_eq!(states(&store).await, [row(4, "A", "in_force"), row(3, "C", "replaced")]);
    assert!(store.version(4).await.unwrap().is_some());
    let kept = store.events(EventQuery::default()).await.unwrap();
    assert_eq!(kept.iter().map(|row| row.number).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_sweep_keeps_what_is_in_force_however_many_were_undone_since() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _damaged) = store(&folder.path().join("node.db"));
    store.keep_version("a\n".into(), state("A", None));
    for digest in ["B", "C", "D"] {
        store.keep_version(digest.into(), state(digest, Some("A")));
        store.keep_version("a\n".into(), state("A", None));
    }
    store.sweep(Duration::from_secs(86_400), 2);
    let expected = [row(4, "D", "undone"), row(3, "C", "undone"), row(1, "A", "in_force")];
    assert_eq!(states(&store).await, expected);
    assert_eq!(store.version(1).await.unwrap().unwrap().toml, "a\n");
}

/// Keeps the thread busy until what is returned is dropped.
fn occupy(store: &Store) -> std::sync::mpsc::Sender<()> {
    let (busy, (release, released)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let (began, released) = (busy.0, Mutex::new(released));
    store.keep("nothing", move |_| {
        began.send(()).unwrap();
        // Ends when the other end is dropped.
        while released.lock().unwrap().recv().is_ok() {}
        Ok(())
    });
    busy.1.recv().unwrap();
    release
}

#[tokio::test]
async fn reads_that_wait_are_few_and_those_given_up_are_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _damaged) = store(&folder.path().join("node.db"));
    let release = occupy(&store);
    let made = Arc::<AtomicU64>::default();
    let reads: Vec<_> = (0..READS)
        .map(|_| {
            let (store, made) = (store.clone(), made.clone());
            tokio::spawn(async move {
                let count = move |_: &mut Connection| Ok(made.fetch_add(1, Ordering::Relaxed));
                store.read(count).await
            })
        })
        .collect();
    while store.reads.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(store.versions().await, Err(StoreError::Busy)));
    for read in reads {
        read.abort();
        drop(read.await);
    }
    drop(release);
    assert!(store.versions().await.unwrap().is_empty());
    assert_eq!(made.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_audit_has_room_whatever_else_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _damaged) = store(&folder.path().join("node.db"));
    let release = occupy(&store);
    for number in 0..2 * KEPT as u64 {
        store.keep_events("one".into(), vec![event(number, number, 1)]);
    }
    let lost = store.counters().not_kept.load(Ordering::Relaxed);
    assert!(lost > KEPT as u64, "{lost}");
    store.audit(NewAuditRow {
        by: "alice".into(),
        address: "192.0.2.1:5".into(),
        action: Action::KillFlows,
        detail: String::new(),
        outcome: "done: 1 ended".into(),
    });
    assert_eq!(store.counters().not_kept.load(Ordering::Relaxed), lost);
    drop(release);
    assert_eq!(store.audit_rows(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_that_occurs_again_is_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _damaged) = store(&folder.path().join("node.db"));
    store.keep_events_up_to("one".into(), 1, vec![event(1, 5000, 1)]);
    store.keep_events_up_to("one".into(), 2, vec![event(2, 5000, 3)]);
    store.keep_events_up_to("two".into(), 1, vec![event(1, 5000, 1)]);
    let rows = store.events(EventQuery::default()).await.unwrap();
    assert_eq!(rows.iter().map(|row| (row.number, row.count)).collect::<Vec<_>>(), [(2, 3), (1, 1)]);
    assert_eq!(store.events_up_to().await.unwrap(), Some(("two".to_owned(), 1)));
    let none = EventQuery { since: 6, ..EventQuery::default() };
    assert!(store.events(none).await.unwrap().is_empty());
}

#[tokio::test]
async fn samples_are_put_together_so_that_an_answer_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _damaged) = store(&folder.path().join("node.db"));
    let sample = |rtt_us, up| RoundTripSample {
        peer: "gw-b".into(),
        up,
        rtt_us,
        p99_us: rtt_us,
        queue_wait_us: None,
        retransmitted: Some(3),
    };
    let through = ThroughputSample {
        interval_ms: 10_000,
        outbound_packets: 1,
        outbound_bytes: 100,
        inbound_packets: 2,
        inbound_bytes: 200,
        dropped: 3,
    };
    store.keep_samples(
        vec![sample(Some(100), true), sample(Some(300), true), sample(None, false)],
        Some(through),
    );
    // A span so long that all of it is one row.
    let span = Span { since: Some(0), until: Some(u64::MAX) };
    let rows = store.round_trips(Some("gw-b".into()), span).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.rtt_us, row.p99_us, row.up_permille), (Some(200), Some(300), 666));
    assert!(store.round_trips(Some("gw-c".into()), span).await.unwrap().is_empty());
    let rows = store.throughput(Span::default()).await.unwrap();
    // The second of the sample may be the end of the span, which is not part of it.
    assert!(rows.len() <= 1);
    let rows = store.throughput(span).await.unwrap();
    assert_eq!((rows[0].outbound_bytes, rows[0].inbound_packets, rows[0].dropped), (100, 2, 3));
}

#[tokio::test]
async fn a_damaged_database_is_moved_aside_also_while_it_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.db");
    fs::write(&path, [7; 8192]).unwrap();
    let (store, mut damaged) = store(&path);
    store.keep_version("a\n".into(), state("A", None));
    assert_eq!(states(&store).await, [row(1, "A", "in_force")]);
    assert_eq!(fs::read(damaged.recv().await.unwrap()).unwrap(), [7; 8192]);
    for number in 0..300 {
        store.keep_events("one".into(), vec![event(number, number, 1)]);
    }
    assert_eq!(store.events(EventQuery::default()).await.unwrap().len(), 300);
    for file in [path.clone(), folder.path().join("node.db-wal")] {
        let length = fs::metadata(&file).unwrap().len() as usize;
        let mut garbage = fs::OpenOptions::new().write(true).open(&file).unwrap();
        std::io::Write::write_all(&mut garbage, &vec![7; length]).unwrap();
    }
    assert!(store.events(EventQuery::default()).await.unwrap().is_empty());
    assert!(damaged.recv().await.is_some());
    assert_eq!(store.counters().damaged.load(Ordering::Relaxed), 2);
    store.keep_version("a\n".into(), state("A", None));
    assert_eq!(states(&store).await, [row(1, "A", "in_force")]);
}

#[tokio::test]
async fn what_cannot_be_kept_is_counted_and_nothing_else_stops() {
    let folder = tempfile::tempdir().unwrap();
    // A folder where the file would be.
    let (store, _damaged) = store(folder.path());
    store.keep_version("a\n".into(), state("A", None));
    assert!(store.versions().await.is_err());
    assert_eq!(store.counters().not_kept.load(Ordering::Relaxed), 1);
}
