//! What applying and sealing do to a shard's state, without a log or files.

use arrow::array::{Int64Array, UInt64Array};
use bytes::Bytes;
use milvus_format::FileMeta;
use milvus_format::key_index::write_key_index;
use milvus_format::manifest::{Manifest, SegmentLevel};
use milvus_roles::{MovedRows, SegmentReplacement};
use milvus_types::{CollectionId, CollectionSchema, DataType, FieldId, FieldSchema, VChannel};

use super::*;

const PARTITION: PartitionId = PartitionId(1);
const OTHER: PartitionId = PartitionId(2);

fn schema() -> SegmentSchema {
    let key = FieldSchema {
        id: FieldId(100),
        name: "id".to_owned(),
        data_type: DataType::Int64,
        is_primary_key: true,
        ..FieldSchema::default()
    };
    SegmentSchema::new(&CollectionSchema { fields: vec![key], ..CollectionSchema::default() })
        .unwrap()
}

fn state() -> ShardState {
    ShardState {
        schema: Arc::new(schema()),
        schema_version: 0,
        pk_field: "id".to_owned(),
        pk_type: PkType::Int64,
        partitions: HashSet::from([PARTITION, OTHER]),
        growing: Vec::new(),
        flushing: Vec::new(),
        committed: Vec::new(),
        flushed: BTreeMap::new(),
        retiring: BTreeMap::new(),
        manifest_version: 0,
        position: 0,
        timestamp: Timestamp::ZERO,
        sealed_ts: Timestamp::ZERO,
        dirty_from: None,
        flushing_from: VecDeque::new(),
        spare_ids: (1..=20).rev().map(SegmentId).collect(),
        governor: Governor::new(1 << 30),
    }
}

fn keys(list: &[i64]) -> PrimaryKeys {
    PrimaryKeys::Int64(list.to_vec().into())
}

fn rows(state: &ShardState, list: &[i64]) -> RecordBatch {
    RecordBatch::try_new(
        state.schema.arrow().clone(),
        vec![Arc::new(Int64Array::from(list.to_vec()))],
    )
    .unwrap()
}

fn apply(state: &mut ShardState, timestamp: u64, body: &Body) -> Effects {
    let mut effects = Effects::default();
    let memory = state.governor.reserve(Purpose::Insert, 0);
    let (at, next, timestamp) = (state.position, state.position + 1, Timestamp(timestamp));
    let change = Change { body, timestamp, at, next, fresh_keys: false, memory };
    state.apply(change, &mut effects).unwrap();
    effects
}

fn insert(state: &mut ShardState, timestamp: u64, partition_id: PartitionId, list: &[i64]) {
    let rows = rows(state, list);
    apply(state, timestamp, &Body::Insert { partition_id, schema_version: 0, rows });
}

fn delete(state: &mut ShardState, timestamp: u64, list: &[i64]) -> Effects {
    apply(state, timestamp, &Body::Delete { partition_ids: None, keys: keys(list) })
}

fn key_index(list: &[i64]) -> KeyIndex {
    let mut bytes = Vec::new();
    write_key_index(&keys(list), &mut bytes).unwrap();
    KeyIndex::open(&Bytes::from(bytes)).unwrap()
}

fn entry(id: i64, list: &[i64]) -> SegmentEntry {
    SegmentEntry {
        id: SegmentId(id),
        partition_id: PARTITION,
        vchannel: VChannel::from_name("c_0v0"),
        rows: list.len() as u64,
        min_ts: Timestamp(1),
        max_ts: Timestamp(1),
        columns: FileMeta::default(),
        key_index: FileMeta::default(),
        delete_files: Vec::new(),
        indexes: Vec::new(),
        deleted_rows: 0,
        schema_version: 0,
        level: SegmentLevel::L1,
        stats: Vec::new(),
    }
}

/// As if `list` had been flushed as segment `id` before.
fn add_flushed(state: &mut ShardState, id: i64, list: &[i64]) {
    let flushed = Flushed {
        entry: entry(id, list),
        keys: key_index(list),
        dead: FxHashMap::default(),
        unpersisted: Vec::new(),
        served: true,
        served_indexes: Vec::new(),
    };
    state.flushed.insert(SegmentId(id), flushed);
}

fn dead(rows: &[(u32, Timestamp)]) -> Vec<(u32, u64)> {
    rows.iter().map(|(row, timestamp)| (*row, timestamp.0)).collect()
}

#[test]
fn a_key_inserted_again_replaces_the_older_row_of_its_partition_only() {
    let mut state = state();
    insert(&mut state, 10, PARTITION, &[1, 2]);
    insert(&mut state, 11, OTHER, &[1]);
    insert(&mut state, 12, PARTITION, &[2, 2]);
    let in_partition = &state.growing[0].segment;
    assert_eq!(dead(&in_partition.deletes().rows), [(1, 12), (2, 12)], "the last of a batch wins");
    assert!(state.growing[1].segment.deletes().rows.is_empty());
}

#[test]
fn a_delete_finds_growing_flushing_and_flushed_rows_once() {
    let mut state = state();
    add_flushed(&mut state, 100, &[5, 6]);
    insert(&mut state, 10, PARTITION, &[1]);
    state.seal().unwrap();
    insert(&mut state, 11, PARTITION, &[2]);
    let effects = delete(&mut state, 12, &[1, 2, 6, 9]);
    assert_eq!(dead(&state.flushing[0].segment.deletes().rows), [(0, 12)]);
    assert_eq!(dead(&state.growing[0].segment.deletes().rows), [(0, 12)]);
    assert_eq!(effects.forward.len(), 1);
    assert_eq!(dead(&effects.forward[0].rows), [(1, 12)]);
    assert!(delete(&mut state, 13, &[6]).forward.is_empty(), "it is dead already");
}

/// The deletes that `set` would write of flushed segments.
fn unwritten(state: &ShardState, set: &SealedSet) -> Vec<(SegmentId, Vec<(u32, u64)>)> {
    let deletes = state.deletes_up_to(set.timestamp);
    deletes.into_iter().map(|deletes| (deletes.segment, dead(&deletes.rows))).collect()
}

#[test]
fn sets_that_overlap_take_every_delete_exactly_once() {
    let mut state = state();
    add_flushed(&mut state, 100, &[5, 6, 7]);
    insert(&mut state, 10, PARTITION, &[1, 2]);
    delete(&mut state, 11, &[5, 1]);
    let first = state.seal().unwrap();
    let sealed = first.segments[0];
    // The first set is still on its way when these come.
    delete(&mut state, 12, &[6, 2]);
    let second = state.seal().unwrap();
    assert!(second.segments.is_empty());
    assert!(state.seal().is_none(), "nothing new");
    assert_eq!(state.needs_log_from(), Some(first.position - 2), "the first set holds the log");

    assert_eq!(unwritten(&state, &first), [(SegmentId(100), vec![(0, 11)])]);
    state.deletes_written(first.timestamp);
    // The sealed segment is flushed by the first set, with its first delete.
    add_flushed(&mut state, sealed.0, &[1, 2]);
    let flushed = state.flushed.get_mut(&sealed).unwrap();
    flushed.unpersisted = vec![(1, Timestamp(12))];
    state.commit(&[sealed]);
    let want = [(sealed, vec![(1, 12)]), (SegmentId(100), vec![(1, 12)])];
    assert_eq!(unwritten(&state, &second), want);
    state.deletes_written(second.timestamp);
    assert!(unwritten(&state, &second).is_empty());
}

#[test]
fn dropped_partitions_leave_nothing_and_take_no_rows() {
    let mut state = state();
    insert(&mut state, 10, OTHER, &[1]);
    insert(&mut state, 11, PARTITION, &[2]);
    let gone = state.keep_partitions(HashSet::from([PARTITION]));
    assert_eq!(gone.len(), 1);
    assert_eq!(state.growing.len(), 1);
    let rows = rows(&state, &[3]);
    let body = Body::Insert { partition_id: OTHER, schema_version: 0, rows };
    let memory = state.governor.reserve(Purpose::Insert, 0);
    let change =
        Change { body: &body, timestamp: Timestamp(12), at: 2, next: 3, fresh_keys: false, memory };
    let refused = state.apply(change, &mut Effects::default()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::PartitionNotFound);
}

#[test]
fn timestamps_of_rows_are_those_of_their_records() {
    let mut state = state();
    insert(&mut state, 10, PARTITION, &[1, 2]);
    insert(&mut state, 20, PARTITION, &[3]);
    let (_, chunks) = state.growing[0].segment.chunks().unwrap();
    let stamps: Vec<u64> = chunks
        .iter()
        .flat_map(|chunk: &milvus_format::RowChunk| {
            let stamps: &UInt64Array = &chunk.timestamps;
            stamps.values().to_vec()
        })
        .collect();
    assert_eq!(stamps, [10, 10, 20]);
}

#[test]
fn a_committed_segment_is_flushed_though_its_memory_still_answers() {
    let mut state = state();
    insert(&mut state, 10, PARTITION, &[1, 2, 3]);
    let set = state.seal().unwrap();
    let id = set.segments[0];
    add_flushed(&mut state, id.0, &[1, 2, 3]);
    state.commit(&set.segments);
    assert!(state.flushing.is_empty());
    assert_eq!(state.committed.len(), 1);

    // A delete reaches both copies, and the next set has it once.
    delete(&mut state, 20, &[2]);
    assert_eq!(dead(&state.committed[0].segment.deletes().rows), [(1, 20)]);
    assert_eq!(dead(&state.flushed[&id].unpersisted), [(1, 20)]);
    let next = state.seal().unwrap();
    assert!(next.segments.is_empty());
    assert_eq!(unwritten(&state, &next), [(id, vec![(1, 20)])]);

    assert_eq!(state.keep_partitions(HashSet::from([OTHER])), [id], "named once");
    assert!(state.committed.is_empty() && state.flushed.is_empty());
}

#[test]
fn a_compacted_segment_is_told_exactly_what_it_missed_and_deletes_reach_old_and_new() {
    let mut state = state();
    add_flushed(&mut state, 100, &[5, 6, 7]);
    add_flushed(&mut state, 101, &[8, 9]);
    delete(&mut state, 11, &[5]);
    let known = [1, 0];
    let was_dead = FxHashMap::from_iter([(0, Timestamp(11))]);
    // While the compacted segment is loaded and committed:
    delete(&mut state, 12, &[6, 9]);
    let all = [5, 6, 7, 8];
    let replacement = SegmentReplacement {
        collection_id: CollectionId(1),
        vchannel: VChannel::from_name("c_0v0"),
        inputs: vec![entry(100, &[5, 6, 7]), entry(101, &[8, 9])],
        outputs: vec![entry(200, &all)],
        moved: vec![
            MovedRows { from: SegmentId(100), to: vec![(0, 0), (0, 1), (0, 2)] },
            MovedRows { from: SegmentId(101), to: vec![(0, 3), (u32::MAX, u32::MAX)] },
        ],
    };
    let manifest = Manifest::empty(CollectionId(1));
    let outputs = || vec![(&replacement.outputs[0], was_dead.clone(), key_index(&all))];
    let told = state.replace(&replacement, &manifest, outputs(), &known, true).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].segment_id, dead(&told[0].rows)), (SegmentId(200), vec![(1, 12)]));
    let output = &state.flushed[&SegmentId(200)];
    assert_eq!(dead(&output.unpersisted), [(0, 11), (1, 12)]);
    assert_eq!(output.dead.len(), 2);
    assert!(state.replace(&replacement, &manifest, outputs(), &known, true).is_none(), "once");

    // Until the new one answers, both are told.
    let effects = delete(&mut state, 13, &[7]);
    let mut told: Vec<_> =
        effects.forward.iter().map(|deletes| (deletes.segment_id.0, dead(&deletes.rows))).collect();
    told.sort();
    assert_eq!(told, [(100, vec![(2, 13)]), (200, vec![(2, 13)])]);
    let set = state.seal().unwrap();
    let want = [(SegmentId(200), vec![(0, 11), (1, 12), (2, 13)])];
    assert_eq!(unwritten(&state, &set), want, "only the new one's deletes are written");
    let mut gone = state.keep_partitions(HashSet::from([OTHER]));
    gone.sort();
    assert_eq!(gone, [100, 101, 200].map(SegmentId), "all three leave with their partition");
}
