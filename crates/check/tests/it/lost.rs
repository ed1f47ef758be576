//! A log that is gone, as a whole or a channel of it: reported as lost where that can be proved, and not
//! where nothing was ever written or all was flushed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use milvus_check::{CheckOptions, Report, Severity};
use milvus_meta::{Catalogue, EmbeddedKv, LogCutEntry};
use milvus_wal::{LocalWal, LocalWalOptions, Wal as _};

use crate::fixture::{BOOKS, CHANNEL, FILMS, Image, check_dir, image};

const SHARDS: [&str; 2] = ["by-dev-rootcoord-dml_0_1000v0", "by-dev-rootcoord-dml_0_1100v0"];

async fn check(dir: &Path) -> Report {
    check_dir(dir, &CheckOptions::default()).await
}

/// That `report` says of both shards that the records of their channel are lost.
pub(crate) fn assert_channel_lost(report: &Report) {
    let object = format!("log channel {CHANNEL}");
    let mut found: Vec<_> = report.findings.iter().filter(|f| f.object == object).collect();
    found.sort_by_key(|finding| &finding.concerns.vchannels);
    assert_eq!(found.len(), 2, "{report}");
    for (finding, shard) in found.iter().zip(SHARDS) {
        assert_eq!(finding.severity, Severity::Missing);
        assert!(finding.what.contains(shard) && finding.what.contains("is lost"), "{finding}");
        assert_eq!(finding.concerns.vchannels, [shard]);
        assert!(finding.concerns.collection.is_some() && finding.repair.is_none(), "{finding}");
    }
    assert_eq!(report.exit_code(), 1);
}

fn without_log(image: &Image) -> Image {
    let mut image = image.clone();
    image.0.retain(|path, _| !path.starts_with("log/"));
    image
}

#[tokio::test]
async fn a_log_whose_folder_is_gone_is_lost() {
    let dir = without_log(&image().await).lay();
    let report = check(dir.path()).await;
    assert_channel_lost(&report);
    let whole = report.findings.iter().find(|finding| finding.object == "log").unwrap();
    assert!(whole.severity == Severity::Missing && whole.what.contains("2 collections"), "{whole}");
    assert_eq!(report.findings.len(), 3, "{report}");
}

#[tokio::test]
async fn a_channel_whose_folder_or_files_are_gone_is_lost_and_its_checkpoints_are_named() {
    let image = image().await;
    let dir = without_log(&image).lay();
    let channel = dir.path().join("log").join(CHANNEL);
    for make in [channel.parent().unwrap(), &channel] {
        fs::create_dir(make).unwrap();
        let report = check(dir.path()).await;
        assert_channel_lost(&report);
        assert_eq!(report.findings.len(), 2, "{report}");
        for (finding, id) in report.findings.iter().zip([BOOKS, FILMS]) {
            let checkpoint =
                format!("manifests/{id}/00000000000000000002.manifest has the checkpoint");
            assert!(finding.what.contains(&checkpoint), "{finding}");
        }
    }
}

#[tokio::test]
async fn a_shard_without_checkpoint_shares_the_loss_of_its_channel() {
    let mut image = without_log(&image().await);
    image.edit_manifest(|manifest| manifest.checkpoints.clear());
    let dir = image.lay();
    fs::create_dir(dir.path().join("log")).unwrap();
    let report = check(dir.path()).await;
    assert_channel_lost(&report);
    let without = report.findings.iter().filter(|f| f.what.contains("has no checkpoint"));
    assert_eq!(without.count(), 1, "{report}");
}

#[tokio::test]
async fn an_empty_log_of_collections_without_checkpoints_is_no_loss_unless_it_is_not_there() {
    let mut image = without_log(&image().await);
    for id in [BOOKS, FILMS] {
        image.edit_manifest_of(id, |manifest| manifest.checkpoints.clear());
    }
    let dir = image.lay();
    assert_channel_lost(&check(dir.path()).await);
    fs::create_dir(dir.path().join("log")).unwrap();
    let report = check(dir.path()).await;
    assert_eq!(report.findings, [], "{report}");
    let kv = EmbeddedKv::open(dir.path().join("meta.redb")).await.unwrap();
    let catalogue = Catalogue::open(Arc::new(kv)).await.unwrap();
    let cut = LogCutEntry { pchannel: CHANNEL.to_owned(), before: 96 };
    catalogue.put(&cut).await.unwrap();
    drop(catalogue);
    assert_channel_lost(&check(dir.path()).await);
}

#[tokio::test]
async fn a_directory_without_collections_has_lost_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let kv = EmbeddedKv::open(dir.path().join("meta.redb")).await.unwrap();
    drop(Catalogue::open(Arc::new(kv)).await.unwrap());
    let report = check(dir.path()).await;
    assert_eq!(report.findings, [], "{report}");
}

#[tokio::test]
async fn a_log_cut_up_to_a_checkpoint_or_behind_anothers_is_sound() {
    let mut image = image().await;
    // The shard has no records behind it: the other's flush has the log cut.
    image.edit_manifest_of(FILMS, |manifest| manifest.checkpoints[0].position = 80);
    let dir = image.lay();
    let options = LocalWalOptions { segment_bytes: 4_000, ..LocalWalOptions::default() };
    let wal = LocalWal::open(dir.path().join("log"), options).await.unwrap();
    let channel = wal.open(CHANNEL, 2_000).await.unwrap();
    channel.truncate(channel.end()).await.unwrap();
    assert!(channel.trim_point().0 > 80);
    channel.close().await;
    drop((channel, wal));
    let report = check(dir.path()).await;
    assert!(report.is_sound(), "{report}");
}

#[tokio::test]
async fn a_log_that_ends_before_a_checkpoint_has_lost_records() {
    let image = image().await;
    let mut files = image.0.keys().filter(|path| path.ends_with(".log"));
    let last = files.next_back().unwrap().clone();
    let mut image = image.clone();
    image.0.remove(&last);
    let report = image.check().await;
    assert_eq!(report.count(Severity::Damage), 2, "{report}");
    for finding in &report.findings {
        assert!(finding.what.contains("before the checkpoint at"), "{finding}");
        assert!(finding.object.starts_with("manifests/") && !finding.advice.is_empty());
    }
}
