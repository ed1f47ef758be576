//! The log: damaged in every file, cut short, with files lost or exchanged.

use milvus_check::{Report, Severity};

use crate::fixture::{CHANNEL, Image, image};

/// The log's files in order.
fn files(image: &Image) -> Vec<String> {
    let files: Vec<_> = image.0.keys().filter(|path| path.ends_with(".log")).cloned().collect();
    assert!(files.len() >= 3, "{files:?}");
    files
}

fn assert_damaged(report: &Report, file: &str, how: &str) {
    let found: Vec<_> = report.findings.iter().filter(|f| f.severity == Severity::Damage).collect();
    let [finding] = found[..] else { panic!("{how} of {file}:\n{report}") };
    assert_eq!(finding.object, file, "{how}\n{report}");
    assert!(finding.byte.is_some(), "{finding}");
    let mut shards = finding.concerns.vchannels.clone();
    shards.sort();
    assert_eq!(shards, [format!("{CHANNEL}_1000v0"), format!("{CHANNEL}_1100v0")]);
    assert!(!finding.advice.is_empty());
}

#[tokio::test]
async fn a_flipped_bit_is_damage_at_its_place_or_a_cut_of_what_was_never_promised() {
    let image = image().await;
    let files = files(&image);
    let last = files.last().unwrap();
    for file in &files {
        let len = image.0[file].len();
        for flip in 0..24 {
            let at = flip * (len - 1) / 23;
            let mut image = image.clone();
            image.0.get_mut(file).unwrap()[at] ^= 1 << (flip % 8);
            let report = image.check().await;
            // Behind the last record lies a mark of 40 bytes, which nobody was promised.
            if file == last && at >= len - 40 {
                assert!(report.is_sound(), "bit at {at} of {len}:\n{report}");
                assert_eq!(report.findings[0].byte, Some(len as u64 - 40), "{report}");
                continue;
            }
            assert_damaged(&report, file, &format!("bit flip at {at} of {len}"));
            let byte = report.findings[0].byte.unwrap();
            assert!(byte <= at as u64, "damage at {byte} is behind the flip at {at}");
        }
    }
}

#[tokio::test]
async fn a_write_cut_short_is_a_note() {
    let image = image().await;
    let file = files(&image).pop().unwrap();
    let mut image = image;
    let whole = image.0[&file].len();
    image.0.get_mut(&file).unwrap().extend([0xab; 20]);
    let report = image.check().await;
    assert!(report.is_sound(), "{report}");
    let [finding] = &report.findings[..] else { panic!("{report}") };
    assert_eq!((&finding.object, finding.byte), (&file, Some(whole as u64)));
    assert!(finding.what.contains("20 bytes"), "{finding}");
}

#[tokio::test]
async fn a_lost_or_exchanged_file_is_damage() {
    let image = image().await;
    let files = files(&image);
    let mut lost = image.clone();
    lost.0.remove(&files[1]);
    assert_damaged(&lost.check().await, &files[0], "loss of the next file");
    let mut exchanged = image.clone();
    let (a, b) = (image.0[&files[0]].clone(), image.0[&files[1]].clone());
    exchanged.0.insert(files[0].clone(), b);
    exchanged.0.insert(files[1].clone(), a);
    assert_damaged(&exchanged.check().await, &files[0], "exchange");
}

#[tokio::test]
async fn what_is_no_channel_is_an_orphan() {
    let mut image = image().await;
    image.0.insert("log/~removed-1/00000000000000000000.log".into(), vec![1]);
    image.0.insert(format!("log/{CHANNEL}/notes.txt"), vec![1]);
    let report = image.check().await;
    assert!(report.is_sound());
    let mut found: Vec<_> = report.findings.iter().map(|f| f.object.as_str()).collect();
    found.sort_unstable();
    let notes = format!("log/{CHANNEL}/notes.txt");
    assert_eq!(found, [notes.as_str(), "log/~removed-1"]);
    assert!(report.findings.iter().all(|f| f.severity == Severity::Orphan));
}

#[tokio::test]
async fn a_mark_of_where_the_log_begins_is_of_the_log() {
    let mut image = image().await;
    image.0.insert(format!("log/{CHANNEL}/00000000000000000000.trim"), vec![]);
    let report = image.check().await;
    assert_eq!(report.findings, [], "{report}");
}
