//! A log of objects within the data directory: sound, lost and damaged.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use milvus_check::{CheckOptions, DataDir, LogSource, Overlay, Report, Severity, check};
use milvus_storage::{LocalStore, MemoryStore, ObjectStore};
use milvus_wal::{ObjectWal, ObjectWalOptions, Wal as _};

use crate::fixture::{BOOKS, CHANNEL, FILMS, append_records, image};
use crate::lost::assert_channel_lost;

fn wal(store: Arc<dyn ObjectStore>) -> ObjectWal {
    ObjectWal::open(store, "log", ObjectWalOptions::local())
}

/// A data directory whose log is one of objects.
pub(crate) async fn lay() -> tempfile::TempDir {
    lay_with(|end| end).await
}

/// The same with checkpoints at the position that `checkpoint` makes of the log's end.
async fn lay_with(checkpoint: impl Fn(u64) -> u64) -> tempfile::TempDir {
    let mut image = image().await;
    image.0.retain(|path, _| !path.starts_with("log/"));
    let dir = image.lay();
    let store = Arc::new(LocalStore::open(dir.path().join("wp")).unwrap());
    let end = append_records(&wal(store)).await;
    for id in [BOOKS, FILMS] {
        image.edit_manifest_of(id, |manifest| manifest.checkpoints[0].position = checkpoint(end));
        let path = format!("objects/{}", milvus_format::path::manifest(id, 2));
        fs::write(dir.path().join(&path), &image.0[&path]).unwrap();
    }
    dir
}

pub(crate) async fn check_dir(dir: &Path) -> Report {
    let dir = DataDir::open(dir).await.unwrap();
    let log = match dir.store_in("wp").await.unwrap() {
        None => LogSource::Gone,
        Some(store) => {
            let seen = Overlay::new(Arc::new(store));
            LogSource::Over(seen.clone(), Arc::new(wal(Arc::new(seen))))
        }
    };
    check(dir.with_log(log).target(), &CheckOptions::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_objects_is_read_record_by_record() {
    let dir = lay().await;
    let report = check_dir(dir.path()).await;
    assert_eq!(report.findings, [], "{report}");
    assert_eq!((report.counts.channels, report.counts.records), (1, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_objects_that_is_gone_is_lost() {
    let dir = lay().await;
    // The channel, then what all channels are under, then the store with it.
    for gone in [format!("wp/log/{CHANNEL}"), "wp/log".to_owned(), "wp".to_owned()] {
        fs::remove_dir_all(dir.path().join(&gone)).unwrap();
        let report = check_dir(dir.path()).await;
        assert_channel_lost(&report);
        let whole = report.findings.iter().any(|finding| finding.object == "log");
        assert_eq!(whole, gone == "wp", "{report}");
    }
}

/// A server makes a channel of objects when it opens the first shard on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_of_objects_that_nothing_proves_is_a_note() {
    let dir = lay_with(|_| 0).await;
    fs::remove_dir_all(dir.path().join("wp/log")).unwrap();
    let report = check_dir(dir.path()).await;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.count(Severity::Note), 2, "{report}");
    for finding in &report.findings {
        assert!(finding.what.contains("or it was lost"), "{finding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_lost_its_manifest_or_a_batch_is_damaged() {
    let dir = lay().await;
    let store = LocalStore::open(dir.path().join("wp")).unwrap();
    let mut objects = store.list("log/").await.unwrap();
    let manifest = objects.pop().unwrap().path;
    assert!(manifest.ends_with("/manifest"), "{manifest}");
    let batch = objects[objects.len() / 2].path.clone();
    for lost in [manifest, batch] {
        let file = dir.path().join("wp").join(&lost);
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let report = check_dir(dir.path()).await;
        let [finding] = &report.findings[..] else { panic!("{report}") };
        assert_eq!(finding.severity, Severity::Damage, "{report}");
        assert!(finding.what.contains("is missing, but"), "{finding}");
        assert_eq!(finding.concerns.vchannels.len(), 2, "{finding}");
        fs::write(&file, kept).unwrap();
    }
}

/// What a server changes meanwhile is not taken for damage.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_written_to_while_it_is_read_is_not_called_damaged() {
    let below = Arc::new(MemoryStore::new());
    append_records(&wal(below.clone())).await;
    let dir = lay().await;
    let dir = DataDir::open(dir.path()).await.unwrap();
    for at_work in [true, false] {
        let seen = Overlay::new(below.clone());
        let view = wal(Arc::new(seen.clone()));
        // Settles what the view takes for the log.
        view.open(CHANNEL, 3_000).await.unwrap().close().await;
        let objects = below.list("log/").await.unwrap();
        let (manifest, batch) = (&objects.last().unwrap().path, &objects[objects.len() / 2].path);
        let kept = below.get(batch).await.unwrap().bytes;
        below.delete(batch).await.unwrap();
        if at_work {
            let bytes = below.get(manifest).await.unwrap().bytes;
            below.put(manifest, bytes.into()).await.unwrap();
        }
        let mut target = dir.target().clone();
        target.log = LogSource::Over(seen, Arc::new(view));
        let report = check(&target, &CheckOptions::default()).await.unwrap();
        let found = report.findings.iter().find(|f| f.concerns.vchannels.len() == 2).unwrap();
        let want = if at_work { Severity::Unreadable } else { Severity::Damage };
        assert_eq!(found.severity, want, "{report}");
        below.put(batch, kept.into()).await.unwrap();
    }
}
