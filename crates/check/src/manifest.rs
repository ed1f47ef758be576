//! The current manifest of a collection: it is there, is the one the catalogue means, and names
//! partitions, shards and indexes that exist. Log positions: `checkpoints`.

use std::collections::HashMap;

use milvus_format::{IndexEntry, Manifest, SegmentEntry, path};
use milvus_types::{Collection, CollectionId, IndexId, VChannel};

use crate::catalogue::Contents;
use crate::check::Run;
use crate::file::{undecoded, unread};
use crate::finding::{Action, Finding};

/// What can be done where manifest `at` cannot be used.
pub(crate) fn advice(id: CollectionId, at: &str) -> String {
    let others = path::manifests(id);
    format!(
        "the collection cannot be opened; its segments are untouched. Restore {at} from a backup, \
         or drop the collection. Not repaired: an older manifest under {others} may name files that \
         are gone and lacks what was flushed since"
    )
}

/// The manifest of collection `id` at `version`.
pub(crate) async fn read(
    run: &Run<'_>,
    id: CollectionId,
    version: u64,
) -> Result<Manifest, Finding> {
    let at = path::manifest(id, version);
    run.progress.begin(&at);
    let object = run.target.store.get(&at).await.map_err(|error| unread(&at, &error))?;
    let manifest = Manifest::decode(&object.bytes).map_err(|error| undecoded(&at, &error))?;
    let (got_id, got_version) = (manifest.collection_id, manifest.version);
    if (got_id, got_version) != (id, version) {
        let what = format!(
            "it is the manifest of collection {got_id} version {got_version}, want {id} version \
             {version}"
        );
        return Err(Finding::damage(at, what));
    }
    Ok(manifest)
}

/// What a manifest may refer to.
pub(crate) struct Refers<'a> {
    pub(crate) contents: &'a Contents,
}

impl Refers<'_> {
    /// What in `manifest` refers to something that is not there.
    pub(crate) fn check(&self, id: CollectionId, manifest: &Manifest) -> Vec<Finding> {
        let at = path::manifest(id, manifest.version);
        let mut found = Vec::new();
        let mut files: HashMap<&str, &SegmentEntry> = HashMap::new();
        for segment in &manifest.segments {
            let shared = segment.files().filter_map(|file| files.insert(&file.path, segment));
            for other in shared.collect::<Vec<_>>() {
                let what = format!("segments {} and {} name the same file", other.id, segment.id);
                found.push(bad_segment(id, &at, segment, what));
            }
            found.extend(self.check_segment(id, &at, segment));
        }
        for checkpoint in &manifest.checkpoints {
            found.extend(self.check_shard(id, &at, &checkpoint.vchannel));
        }
        found.into_iter().map(|finding| self.contents.name(finding)).collect()
    }

    fn check_segment(&self, id: CollectionId, at: &str, segment: &SegmentEntry) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut bad = |what: String| found.push(bad_segment(id, at, segment, what));
        let own = path::segment(id, segment.partition_id, segment.id);
        for file in segment.files().filter(|file| !file.path.starts_with(&own)) {
            bad(format!("segment {} names file {}, which is not its own", segment.id, file.path));
        }
        if segment.min_ts > segment.max_ts && segment.rows > 0 {
            let (min, max) = (segment.min_ts, segment.max_ts);
            bad(format!("segment {} has rows from {min} to {max}", segment.id));
        }
        if let Some(mark) = self.contents.tso.filter(|mark| segment.max_ts > *mark) {
            let ts = segment.max_ts;
            bad(format!("segment {} has a row of {ts}, no time after {mark} was", segment.id));
        }
        if let Some(next) = self.contents.next_id.filter(|next| segment.id.0 >= *next) {
            bad(format!("segment {}: ids from {next} on were never handed out", segment.id));
        }
        if let Some(collection) = self.contents.collections.get(&id) {
            if !collection.vchannels.contains(&segment.vchannel) {
                let vchannel = &segment.vchannel;
                bad(format!("segment {} is of shard {vchannel}, which does not exist", segment.id));
            }
            found.extend(dropped_partition(at, collection, segment));
            let indexes = segment.indexes.iter();
            found.extend(indexes.filter_map(|index| self.check_index(at, id, segment, index)));
        }
        found
    }

    fn check_index(
        &self,
        at: &str,
        id: CollectionId,
        segment: &SegmentEntry,
        index: &IndexEntry,
    ) -> Option<Finding> {
        let index_id: IndexId = index.index_id;
        let Some(meta) = self.contents.indexes.get(&(id, index_id)) else {
            let what = format!(
                "segment {} has files of index {index_id}, which does not exist any more",
                segment.id
            );
            let known = !self.contents.obscure.contains(&id);
            return known.then(|| concerned(Finding::note(at, what), id, segment));
        };
        if meta.field_id == index.field_id {
            return None;
        }
        let what = format!(
            "segment {} has index {index_id} on field {}, the catalogue has it on field {}",
            segment.id, index.field_id, meta.field_id
        );
        let mut finding = concerned(Finding::damage(at, what), id, segment);
        let (collection_id, segment_id) = (id, segment.id);
        finding.repair = Some(Action::DropIndex { collection_id, segment_id, index_id });
        Some(finding)
    }

    fn check_shard(&self, id: CollectionId, at: &str, vchannel: &VChannel) -> Option<Finding> {
        let collection = self.contents.collections.get(&id)?;
        let what = format!("it has a checkpoint of {vchannel}, which does not exist");
        (!collection.vchannels.contains(vchannel)).then(|| Finding::note(at, what).of(collection))
    }
}

/// A crash between the drop of a partition and the next manifest leaves this; a start makes it good.
fn dropped_partition(at: &str, collection: &Collection, segment: &SegmentEntry) -> Option<Finding> {
    if collection.partition_by_id(segment.partition_id).is_some() {
        return None;
    }
    let partition = segment.partition_id;
    let what = format!(
        "segment {} is of partition {partition}, which does not exist any more; a start removes it",
        segment.id
    );
    Some(concerned(Finding::note(at, what), collection.id, segment))
}

fn concerned(mut finding: Finding, id: CollectionId, segment: &SegmentEntry) -> Finding {
    finding.concerns.segment_id = Some(segment.id.0);
    finding.concerns.rows = Some(segment.rows);
    finding.of_id(id)
}

fn bad_segment(id: CollectionId, at: &str, segment: &SegmentEntry, what: String) -> Finding {
    let mut finding = concerned(Finding::damage(at, what), id, segment);
    finding.repair = Some(Action::QuarantineSegment { collection_id: id, segment_id: segment.id });
    finding.advise(crate::segment::QUARANTINE_ADVICE)
}
