//! The names of objects.
//!
//! ```text
//! segments/{collection}/{partition}/{segment}/columns.arrow
//!                                            /keys.idx
//!                                            /deletes-{n}.del
//!                                            /index-{index}-{build}.vidx
//! manifests/{collection}/{version, 20 digits}.manifest
//! ```
//!
//! Names are listed in order of version, and everything of a collection, a partition or a segment
//! lies under one prefix.

use milvus_types::{CollectionId, IndexId, PartitionId, SegmentId};

/// The prefix of everything of every segment.
pub const SEGMENTS: &str = "segments/";
/// The prefix of every manifest.
pub const MANIFESTS: &str = "manifests/";

/// The prefix of a collection's segments.
pub fn collection(collection: CollectionId) -> String {
    format!("{SEGMENTS}{collection}/")
}

/// The prefix of a partition's segments.
pub fn partition(collection: CollectionId, partition: PartitionId) -> String {
    format!("{SEGMENTS}{collection}/{partition}/")
}

/// The prefix of a segment's files.
pub fn segment(collection: CollectionId, partition: PartitionId, segment: SegmentId) -> String {
    format!("{SEGMENTS}{collection}/{partition}/{segment}/")
}

/// A segment's columns.
pub fn columns(c: CollectionId, p: PartitionId, s: SegmentId) -> String {
    segment(c, p, s) + "columns.arrow"
}

/// A segment's key index.
pub fn keys(c: CollectionId, p: PartitionId, s: SegmentId) -> String {
    segment(c, p, s) + "keys.idx"
}

/// A segment's delete file number `n`.
pub fn deletes(c: CollectionId, p: PartitionId, s: SegmentId, n: u64) -> String {
    segment(c, p, s) + &format!("deletes-{n}.del")
}

/// A segment's file of index `index`, as built by `build_id`.
pub fn index(
    c: CollectionId,
    p: PartitionId,
    s: SegmentId,
    index: IndexId,
    build_id: i64,
) -> String {
    segment(c, p, s) + &format!("index-{index}-{build_id}.vidx")
}

/// The prefix of a collection's manifests.
pub fn manifests(collection: CollectionId) -> String {
    format!("{MANIFESTS}{collection}/")
}

/// A collection's manifest at `version`.
pub fn manifest(collection: CollectionId, version: u64) -> String {
    format!("{MANIFESTS}{collection}/{version:020}.manifest")
}

/// The version that a manifest's `path` names.
pub fn manifest_version(path: &str) -> Option<u64> {
    path.strip_prefix(MANIFESTS)?.split_once('/')?.1.strip_suffix(".manifest")?.parse().ok()
}

/// The segment to which the file at `path` belongs.
pub fn segment_of(path: &str) -> Option<(CollectionId, PartitionId, SegmentId)> {
    let mut parts = path.strip_prefix(SEGMENTS)?.split('/');
    let mut id = || parts.next()?.parse::<i64>().ok();
    Some((CollectionId(id()?), PartitionId(id()?), SegmentId(id()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_drawn_and_read_back() {
        let (c, p, s) = (CollectionId(7), PartitionId(8), SegmentId(9));
        assert_eq!(columns(c, p, s), "segments/7/8/9/columns.arrow");
        assert_eq!(keys(c, p, s), "segments/7/8/9/keys.idx");
        assert_eq!(deletes(c, p, s, 3), "segments/7/8/9/deletes-3.del");
        assert_eq!(index(c, p, s, IndexId(4), 5), "segments/7/8/9/index-4-5.vidx");
        assert_eq!(manifest(c, 12), "manifests/7/00000000000000000012.manifest");
        assert_eq!(manifest_version(&manifest(c, 12)), Some(12));
        assert_eq!(segment_of(&index(c, p, s, IndexId(4), 5)), Some((c, p, s)));
        assert_eq!(segment_of("segments/7/8"), None);
        assert_eq!(manifest_version("manifests/7/x.manifest"), None);
    }
}
