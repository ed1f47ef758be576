//! Repair: what is left is sound, what was there is kept, and a crash at any step is made good.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use milvus_base::Clock;
use milvus_check::{
    DataDir, QUARANTINE, QuarantineNote, Repair, RepairError, RepairOptions, Severity, Step,
    Target, repair,
};
use milvus_format::{Manifest, path};
use milvus_storage::{ETag, Object, ObjectMeta, ObjectStore, ObjectWriter, Payload, StoreError};
use milvus_types::{FieldId, ValueRange};
use proptest::prelude::*;

use crate::fixture::{BOOKS, Image, check_dir, image};

fn options() -> RepairOptions {
    RepairOptions { clock: Clock::manual(), ..RepairOptions::default() }
}

async fn repaired(dir: &Path, options: &RepairOptions) -> Repair {
    let dir = DataDir::lock(dir).await.unwrap();
    repair(dir.target(), options).await.unwrap()
}

/// Every file of `before` that is not in its place in `after` is in quarantine, byte for byte.
fn assert_kept(before: &Image, after: &Image) {
    let aside: BTreeSet<&[u8]> = after
        .0
        .iter()
        .filter(|(path, _)| path.starts_with(&format!("objects/{QUARANTINE}")))
        .map(|(_, bytes)| bytes.as_slice())
        .collect();
    for (path, bytes) in before.0.iter().filter(|(path, _)| path.starts_with("objects/")) {
        let in_place = after.0.get(path) == Some(bytes);
        assert!(in_place || aside.contains(bytes.as_slice()), "{path} is lost");
    }
}

/// What can be done to one file.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<prop::sample::Index>(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        any::<prop::sample::Index>().prop_map(Change::Cut),
        Just(Change::Remove),
    ]
}

impl Change {
    fn apply(&self, image: &mut Image, path: &str) {
        let Some(bytes) = image.0.get_mut(&format!("objects/{path}")) else {
            return;
        };
        match self {
            Self::Flip(at, bit) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Flip(..) => {}
            Self::Cut(at) if !bytes.is_empty() => bytes.truncate(at.index(bytes.len())),
            Self::Cut(_) => {}
            Self::Remove => drop(image.0.remove(&format!("objects/{path}"))),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_files_of_segments_a_repair_leaves_a_sound_directory(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), change()), 1..4)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let whole = image().await;
            let mut image = whole.clone();
            for (file, change) in &changes {
                let files = whole.segment_files();
                change.apply(&mut image, file.get(&files[..]).as_str());
            }
            let dir = image.lay();
            let done = repaired(dir.path(), &options()).await;
            assert_eq!(done.exit_code(), 0, "{done}");
            let changed = image.segment_files() != whole.segment_files() || image != whole;
            assert_eq!(!done.before.is_sound(), changed, "{done}");
            let after = Image::of(dir.path());
            assert_kept(&image, &after);
            // Nothing but the damaged: segments without a finding are still there.
            let bad: BTreeSet<_> =
                done.before.findings.iter().filter_map(|f| f.concerns.segment_id).collect();
            let left = done.after.as_ref().unwrap().counts.segments;
            assert!(left >= 3 - bad.len() as u64);
            let again = repaired(dir.path(), &options()).await;
            assert_eq!(again.steps, [], "a repeat changes nothing");
        });
    }
}

#[tokio::test]
async fn a_damaged_index_is_dropped_and_its_segment_stays() {
    let mut image = image().await;
    let files = image.segment_files();
    let index = files.iter().find(|path| path.ends_with(".vidx")).unwrap();
    image.object(index)[100] ^= 1;
    let dir = image.lay();
    let done = repaired(dir.path(), &options()).await;
    let manifest = path::manifest(BOOKS, 3);
    let indexes = vec![index.clone()];
    let want = Step::Committed { manifest, segments: vec![], indexes, statistics: vec![] };
    assert_eq!(done.steps, [want]);
    let after = done.after.unwrap();
    assert!(after.is_sound());
    assert_eq!(after.counts.segments, 3);
    let orphans: Vec<_> = after.findings.iter().map(|finding| finding.object.as_str()).collect();
    assert_eq!(orphans, [path::manifest(BOOKS, 1).as_str(), index.as_str()]);
}

#[tokio::test]
async fn statistics_that_hide_rows_are_dropped_and_the_segment_stays() {
    let mut image = image().await;
    image.edit_manifest(|manifest| {
        let stats = &mut manifest.segments[0].stats;
        stats[0].range = Some(ValueRange::Int { min: 0, max: 38 });
    });
    let field = FieldId(100);
    let dir = image.lay();
    let done = repaired(dir.path(), &options()).await;
    let [finding] = &done.before.findings[..] else { panic!("{done}") };
    assert!(finding.what.contains("field id say 0 to 38, the values are 0 to 39"), "{finding}");
    let manifest = path::manifest(BOOKS, 3);
    let statistics = vec![(1_020, field.0)];
    let want = Step::Committed { manifest, segments: vec![], indexes: vec![], statistics };
    assert_eq!(done.steps, [want]);
    let after = Image::of(dir.path()).object(&path::manifest(BOOKS, 3)).clone();
    let after = Manifest::decode(&after).unwrap();
    let has = |segment: usize| after.segments[segment].stats.iter().any(|it| it.field_id == field);
    assert!(!has(0) && has(1), "those of another segment or field go, too");
    assert_eq!(after.segments[0].stats.len() + 1, after.segments[1].stats.len());
    assert!(done.after.unwrap().is_sound());
}

#[tokio::test]
async fn a_note_says_what_was_put_aside_and_why() {
    let mut image = image().await;
    let columns = image.segment_files().into_iter().find(|p| p.ends_with("columns.arrow")).unwrap();
    image.object(&columns)[100] ^= 1;
    let dir = image.lay();
    let done = repaired(dir.path(), &options()).await;
    let folder = "quarantine/20200101T000000.000Z";
    let after = Image::of(dir.path());
    let note = &after.0[&format!("objects/{folder}/segments/1000/1001/1020/note.json")];
    let note: QuarantineNote = serde_json::from_slice(note).unwrap();
    assert_eq!((note.collection_id, note.segment_id, note.rows), (1_000, 1_020, 40));
    assert_eq!((note.collection.as_deref(), note.manifest_version), (Some("default.books"), 2));
    assert_eq!(note.files.len(), 5);
    assert!(note.problems[0].starts_with(&columns), "{:?}", note.problems);
    let copy = format!("objects/{folder}/{columns}");
    assert_eq!(after.0[&copy], image.0[&format!("objects/{columns}")]);
    assert!(after.0.contains_key(&format!("objects/{folder}/{}", path::manifest(BOOKS, 2))));
    assert!(!after.0.contains_key(&format!("objects/{columns}")));
    let noted = done.after.unwrap();
    assert_eq!(noted.count(Severity::Note), 1, "{noted}");
}

#[tokio::test]
async fn a_dry_run_says_what_a_repair_does_and_changes_nothing() {
    let mut image = image().await;
    let files = image.segment_files();
    image.object(&files[0])[100] ^= 1;
    image.0.remove(&format!("objects/{}", files[1]));
    image.object(files.last().unwrap())[30] ^= 1;
    let dir = image.lay();
    let dry = RepairOptions { dry_run: true, ..options() };
    let before = Image::of(dir.path());
    let said = repaired(dir.path(), &dry).await;
    assert_eq!((said.after.is_none(), said.exit_code()), (true, 1));
    let mut unchanged = Image::of(dir.path());
    // Opening the catalogue to be repaired writes to its file.
    unchanged.0.insert("meta.redb".into(), before.0["meta.redb"].clone());
    assert!(unchanged == before);
    let done = repaired(dir.path(), &options()).await;
    assert_eq!(said.steps, done.steps);
    assert_eq!(done.exit_code(), 0, "{done}");
}

#[tokio::test]
async fn a_damaged_manifest_is_left_alone_and_said_so() {
    let mut image = image().await;
    let manifest = path::manifest(BOOKS, 2);
    image.object(&manifest)[30] ^= 1;
    let dir = image.lay();
    let before = Image::of(dir.path());
    let done = repaired(dir.path(), &options()).await;
    assert_eq!(done.exit_code(), 1);
    let [Step::LeftAlone { object, why }] = &done.steps[..] else { panic!("{done}") };
    assert_eq!(object, &manifest);
    assert!(why.contains("from a backup"), "{why}");
    let mut after = Image::of(dir.path());
    after.0.insert("meta.redb".into(), before.0["meta.redb"].clone());
    assert!(after == before);
}

/// A store whose changes fail from some moment on, as if the process had ended there.
#[derive(Debug)]
struct EndsAfter {
    store: Arc<dyn ObjectStore>,
    changes_left: AtomicU64,
}

impl EndsAfter {
    fn change(&self, op: &'static str, path: &str) -> Result<(), StoreError> {
        let one_less = |left: u64| left.checked_sub(1);
        match self.changes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Ok(()),
            Err(_) => {
                let source = std::io::ErrorKind::BrokenPipe.into();
                Err(StoreError::Io { op, path: path.to_owned(), source })
            }
        }
    }
}

#[async_trait]
impl ObjectStore for EndsAfter {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.change("put", path)?;
        self.store.put(path, data).await
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.change("put", path)?;
        self.store.put_if_absent(path, data).await
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        self.change("put", path)?;
        self.store.put_if_match(path, data, etag).await
    }

    async fn get(&self, path: &str) -> Result<Object, StoreError> {
        self.store.get(path).await
    }

    async fn get_range(
        &self,
        path: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Bytes, StoreError> {
        self.store.get_range(path, range).await
    }

    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        self.store.head(path).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.store.list(prefix).await
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.change("delete", path)?;
        self.store.delete(path).await
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        self.store.map(path).await
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        self.change("put", path)?;
        self.store.writer(path)
    }
}

#[tokio::test]
async fn a_repair_that_ends_after_any_change_is_finished_by_the_next() {
    let mut image = image().await;
    let files = image.segment_files();
    image.object(&files[0])[100] ^= 1;
    let mut finished = false;
    for changes in 0..40 {
        let dir = image.lay();
        let ended = {
            let data_dir = DataDir::lock(dir.path()).await.unwrap();
            let store = EndsAfter {
                store: data_dir.target().store.clone(),
                changes_left: AtomicU64::new(changes),
            };
            let target = Target { store: Arc::new(store), ..data_dir.target().clone() };
            repair(&target, &options()).await
        };
        let cut_short = match &ended {
            Ok(done) => done.exit_code() != 0,
            Err(RepairError::Store(_)) => true,
            Err(error) => panic!("after {changes} changes: {error}"),
        };
        let report = check_dir(dir.path(), &Default::default()).await;
        assert!(report.findings.iter().all(|f| f.severity != Severity::Missing), "{report}");
        let later = RepairOptions { clock: Clock::manual_at(1_700_000_000_000), ..options() };
        let done = repaired(dir.path(), &later).await;
        assert_eq!(done.exit_code(), 0, "after {changes} changes: {done}");
        assert_kept(&image, &Image::of(dir.path()));
        let after = Image::of(dir.path());
        let left = after.segment_files().into_iter().filter(|p| p.contains("/1020/")).count();
        assert_eq!(left, 0, "after {changes} changes an original is left");
        let notes = after.0.keys().filter(|path| path.ends_with("note.json")).count();
        assert_eq!(notes, 1, "after {changes} changes the segment is put aside twice");
        if !cut_short {
            finished = true;
            assert!(changes >= 10, "a repair of five files takes more than {changes} changes");
            break;
        }
    }
    assert!(finished);
}
