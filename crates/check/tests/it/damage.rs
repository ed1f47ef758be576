//! Every kind of file, damaged in every way: the check names exactly that object.

use milvus_check::{Action, Finding, Report, Severity};
use milvus_format::path;

use crate::fixture::{BOOKS, Image, image};

/// How many bytes of a file are flipped, one at a time.
const FLIPS: usize = 8;

fn bad(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.severity.is_bad()).collect()
}

/// The one bad finding of `report`, which is about `object`.
fn only<'r>(report: &'r Report, object: &str, severity: Severity, how: &str) -> &'r Finding {
    let found = bad(report);
    let [finding] = found[..] else {
        panic!("{how} of {object} is {} findings:\n{report}", found.len());
    };
    assert_eq!((finding.object.as_str(), finding.severity), (object, severity), "{how}\n{report}");
    assert_eq!(report.exit_code(), 1);
    finding
}

/// That `finding` says whom it concerns, and is repaired as its kind of file should be.
fn assert_concerns_its_segment(finding: &Finding) {
    let (collection, _, segment) = path::segment_of(&finding.object).unwrap();
    assert_eq!(finding.concerns.collection_id, Some(collection.0));
    assert_eq!(finding.concerns.segment_id, Some(segment.0));
    assert_eq!(finding.concerns.rows, Some(40));
    assert!(finding.concerns.collection.is_some() && !finding.advice.is_empty(), "{finding}");
    let drops_index = matches!(finding.repair, Some(Action::DropIndex { .. }));
    assert_eq!(drops_index, finding.object.ends_with(".vidx"), "{finding}");
    assert_eq!(drops_index, finding.concerns.index.is_some(), "{finding}");
}

async fn damaged(image: &Image, path: &str, how: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut image = image.clone();
    change(image.object(path));
    let report = image.check().await;
    let finding = only(&report, path, Severity::Damage, how);
    if path.starts_with(path::SEGMENTS) {
        assert_concerns_its_segment(finding);
    }
}

#[tokio::test]
async fn a_flipped_bit_is_damage_of_that_file() {
    let image = image().await;
    for path in image.segment_files().into_iter().chain([path::manifest(BOOKS, 2)]) {
        let len = image.clone().object(&path).len();
        for flip in 0..FLIPS {
            let at = flip * (len - 1) / (FLIPS - 1);
            damaged(&image, &path, &format!("bit flip at {at}"), |bytes| {
                bytes[at] ^= 1 << (flip % 8);
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_file_cut_short_or_too_long_is_damage_of_that_file() {
    let image = image().await;
    for path in image.segment_files().into_iter().chain([path::manifest(BOOKS, 2)]) {
        let len = image.clone().object(&path).len();
        for cut in [0, 1, len / 2, len - 1] {
            damaged(&image, &path, &format!("cut to {cut}"), |bytes| bytes.truncate(cut)).await;
        }
        damaged(&image, &path, "a byte more", |bytes| bytes.push(0)).await;
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_missing() {
    let image = image().await;
    for path in image.segment_files() {
        let mut image = image.clone();
        image.0.remove(&format!("objects/{path}"));
        let report = image.check().await;
        assert_concerns_its_segment(only(&report, &path, Severity::Missing, "removal"));
    }
    let mut image = image;
    let manifest = path::manifest(BOOKS, 2);
    image.0.remove(&format!("objects/{manifest}"));
    let report = image.check().await;
    let finding = only(&report, &manifest, Severity::Missing, "removal");
    assert_eq!(finding.repair, None);
    assert_eq!(finding.concerns.collection.as_deref(), Some("default.books"));
    assert_eq!(report.count(Severity::Orphan), 0, "what a lost manifest named is no orphan");
}

#[tokio::test]
async fn two_files_swapped_are_both_damaged() {
    let image = image().await;
    let files = image.segment_files();
    for (i, one) in files.iter().enumerate() {
        // The next file of the same kind in another segment, and the next of any kind.
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let same = files[i + 1..].iter().find(|path| name(path) == name(one));
        for other in same.into_iter().chain(files.get(i + 1)) {
            let mut image = image.clone();
            let (a, b) = (image.object(one).clone(), image.object(other).clone());
            if a == b {
                continue;
            }
            *image.object(one) = b;
            *image.object(other) = a;
            let report = image.check().await;
            let mut found: Vec<_> = bad(&report).iter().map(|f| f.object.as_str()).collect();
            found.dedup();
            let mut want = [one.as_str(), other.as_str()];
            want.sort_unstable();
            assert_eq!(found, want, "{report}");
        }
    }
}

#[tokio::test]
async fn a_manifest_of_another_version_or_collection_is_damage() {
    let image = image().await;
    for other in [path::manifest(BOOKS, 1), path::manifest(crate::fixture::FILMS, 2)] {
        let mut image = image.clone();
        let bytes = image.object(&other).clone();
        let current = path::manifest(BOOKS, 2);
        *image.object(&current) = bytes;
        let report = image.check().await;
        only(&report, &current, Severity::Damage, "exchange");
    }
}

#[tokio::test]
async fn a_copy_that_nothing_names_is_an_orphan_and_no_damage() {
    let image = image().await;
    for path in image.segment_files().into_iter().chain([path::manifest(BOOKS, 2)]) {
        let mut image = image.clone();
        let copy = format!("{path}.copy");
        let bytes = image.object(&path).clone();
        image.0.insert(format!("objects/{copy}"), bytes);
        let report = image.check().await;
        let [finding] = &report.findings[..] else { panic!("{report}") };
        assert_eq!((finding.object.as_str(), finding.severity), (&*copy, Severity::Orphan));
        assert_eq!(report.exit_code(), 0);
    }
}

#[tokio::test]
async fn an_old_manifest_is_an_orphan_and_the_one_before_is_kept() {
    let mut image = image().await;
    let bytes = image.object(&path::manifest(BOOKS, 1)).clone();
    for version in [0, 3, 9] {
        image.0.insert(format!("objects/{}", path::manifest(BOOKS, version)), bytes.clone());
    }
    let report = image.check().await;
    assert!(report.is_sound());
    let found: Vec<_> = report.findings.iter().map(|finding| finding.object.clone()).collect();
    assert_eq!(found, [0, 3, 9].map(|version| path::manifest(BOOKS, version)));
}
