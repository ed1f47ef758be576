//! What is worth compacting, seen from manifests made up here.

use std::time::Duration;

use milvus_format::FileMeta;
use milvus_format::manifest::DeleteFile;
use milvus_types::{
    CollectionId, CollectionSchema, ConsistencyLevel, DataType, DatabaseId, FieldSchema,
    FieldStats, KeyValue, Partition, Timestamp,
};
use proptest::prelude::*;

use milvus_roles::{CompactCollection, CompactionKind};
use milvus_types::ValueRange;

use super::*;

mod simulation;

const NOW_MS: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;
const PARTITION: PartitionId = PartitionId(7);

fn collection(properties: &[(&str, &str)], clustering_key: bool) -> Collection {
    let fields = vec![FieldSchema {
        id: FieldId(101),
        name: "tag".to_owned(),
        data_type: DataType::Int64,
        is_clustering_key: clustering_key,
        ..FieldSchema::default()
    }];
    Collection {
        id: CollectionId(1),
        db_id: DatabaseId(1),
        db_name: "default".to_owned(),
        name: "books".to_owned(),
        schema: CollectionSchema { fields, ..CollectionSchema::default() },
        partitions: vec![Partition {
            id: PARTITION,
            name: "_default".to_owned(),
            create_ts: Timestamp::ZERO,
        }],
        vchannels: Vec::new(),
        consistency_level: ConsistencyLevel::Strong,
        properties: properties.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect(),
        create_ts: Timestamp::ZERO,
        update_ts: Timestamp::ZERO,
    }
}

/// A segment of `mib` MiB and a thousand rows, all written just now.
fn segment(id: i64, mib: u64) -> SegmentEntry {
    SegmentEntry {
        id: SegmentId(id),
        partition_id: PARTITION,
        vchannel: VChannel::from_name("c_1v0"),
        rows: 1000,
        min_ts: Timestamp::new(NOW_MS - 1000, 0),
        max_ts: Timestamp::new(NOW_MS, 0),
        columns: FileMeta { bytes: mib * MIB, ..FileMeta::default() },
        key_index: FileMeta::default(),
        delete_files: Vec::new(),
        indexes: Vec::new(),
        deleted_rows: 0,
        schema_version: 0,
        level: SegmentLevel::L1,
        stats: Vec::new(),
    }
}

/// `rows` more of it died `age_ms` ago, which one more file says.
fn dead(mut segment: SegmentEntry, rows: u64, age_ms: u64) -> SegmentEntry {
    let max_ts = Timestamp::new(NOW_MS - age_ms, 0);
    segment.delete_files.push(DeleteFile { file: FileMeta::default(), rows, max_ts });
    segment.deleted_rows += rows;
    segment
}

fn manifest(segments: Vec<SegmentEntry>) -> Manifest {
    Manifest { version: 1, segments, ..Manifest::empty(CollectionId(1)) }
}

fn decide(collection: &Collection, segments: Vec<SegmentEntry>, now_ms: u64) -> Next {
    let (options, excluded) = (CompactionOptions::default(), HashSet::new());
    let manifest = &manifest(segments);
    next(Scene {
        collection,
        manifest,
        options: &options,
        now_ms,
        excluded: &excluded,
        waiting_bytes: 0,
    })
}

fn plain(segments: Vec<SegmentEntry>) -> Next {
    decide(&collection(&[], false), segments, NOW_MS)
}

/// The inputs and the level of a rewrite; fails on anything else.
fn rewritten(next: Next) -> (Vec<i64>, SegmentLevel) {
    let Next::Do(Plan { inputs, action: Action::Rewrite { level, .. }, .. }) = next else {
        panic!("no rewrite: {next:?}");
    };
    (inputs.iter().map(|id| id.0).collect(), level)
}

fn asked(collection: &Collection, segments: Vec<SegmentEntry>, kind: CompactionKind) -> Vec<Plan> {
    pass(collection, segments, kind).plans
}

fn pass(collection: &Collection, segments: Vec<SegmentEntry>, kind: CompactionKind) -> Pass {
    let (options, excluded) = (CompactionOptions::default(), HashSet::new());
    let manifest = &manifest(segments);
    let request = CompactCollection {
        collection_id: CollectionId(1),
        kind,
        partition_id: None,
        vchannel: None,
        segments: Vec::new(),
    };
    let options = &options;
    let excluded = &excluded;
    let scene = Scene { collection, manifest, options, now_ms: NOW_MS, excluded, waiting_bytes: 0 };
    manual(scene, &request)
}

fn inputs(plans: &[Plan]) -> Vec<Vec<i64>> {
    plans.iter().map(|plan| plan.inputs.iter().map(|id| id.0).collect()).collect()
}

#[test]
fn a_fifth_of_dead_rows_is_worth_a_rewrite_and_less_is_not() {
    let old = 61_000;
    assert_eq!(plain(vec![dead(segment(1, 600), 199, old)]), Next::Nothing);
    let segments = vec![dead(segment(1, 600), 200, old), segment(2, 600)];
    assert_eq!(rewritten(plain(segments)), (vec![1], SegmentLevel::L1));
}

#[test]
fn what_waits_for_removal_holds_rewrites_back_until_a_backlog_forms() {
    let (options, collection) = (CompactionOptions::default(), collection(&[], false));
    let decided = |dead_rows, waiting_mib| {
        let manifest = &manifest(vec![dead(segment(1, 500), dead_rows, 61_000), segment(2, 500)]);
        next(Scene {
            collection: &collection,
            manifest,
            options: &options,
            now_ms: NOW_MS,
            excluded: &HashSet::new(),
            waiting_bytes: waiting_mib * MIB,
        })
    };
    assert_eq!(rewritten(decided(400, 99)).0, [1]);
    assert_eq!(decided(400, 100), Next::At(NOW_MS + 7501), "it is looked at again");
    assert_eq!(rewritten(decided(500, 100)).0, [1], "a quarter of all is dead");
    assert_eq!(decided(100, 100), Next::Nothing);
}

#[test]
fn the_deadest_go_first_and_several_as_one_where_they_fit() {
    let segments = vec![
        dead(segment(1, 1000), 250, 61_000),
        dead(segment(2, 1000), 900, 61_000),
        dead(segment(3, 1000), 300, 61_000),
        dead(segment(4, 1000), 800, 61_000),
    ];
    // 100 MiB live, 200, then 700; another 750 are too many.
    assert_eq!(rewritten(plain(segments)).0, [2, 4, 3]);
}

#[test]
fn rows_dead_for_less_than_the_retention_are_waited_for() {
    let segments = vec![dead(dead(segment(1, 600), 100, 90_000), 100, 20_000)];
    assert_eq!(plain(segments.clone()), Next::At(NOW_MS + 40_001));
    let later = decide(&collection(&[], false), segments, NOW_MS + 40_001);
    assert_eq!(rewritten(later).0, [1]);
}

#[test]
fn segments_of_dead_rows_only_leave_without_being_read() {
    let segments = vec![dead(segment(1, 600), 1000, 61_000), segment(2, 600)];
    let Next::Do(plan) = plain(segments) else { panic!("no plan") };
    assert_eq!((plan.action, plan.inputs), (Action::Drop, vec![SegmentId(1)]));
    let young = vec![dead(segment(1, 600), 1000, 59_000)];
    assert_eq!(plain(young), Next::At(NOW_MS + 1001));
}

#[test]
fn more_than_sixteen_delete_files_are_folded() {
    let with_files = |count| (0..count).fold(segment(1, 600), |entry, _| dead(entry, 1, 61_000));
    assert_eq!(plain(vec![with_files(16)]), Next::Nothing);
    let Next::Do(plan) = plain(vec![with_files(17)]) else { panic!("no plan") };
    assert_eq!(plan.action, Action::Fold);
}

#[test]
fn eight_segments_of_about_one_size_are_merged_with_smaller_ones() {
    let mut seven: Vec<_> = (1..=7).map(|id| segment(id, 34 + id.unsigned_abs())).collect();
    seven.push(segment(9, 2));
    assert_eq!(plain(seven.clone()), Next::Nothing);
    let mut eight = seven;
    eight.push(segment(8, 33));
    assert_eq!(rewritten(plain(eight.clone())).0, [8, 1, 2, 3, 4, 5, 6, 7, 9]);
    eight.push(segment(10, 700));
    assert_eq!(rewritten(plain(eight)).0, [8, 1, 2, 3, 4, 5, 6, 7, 9], "a full one is left alone");
    let sizes = [1, 8, 64, 300].into_iter().flat_map(|mib| [mib; 7]);
    let apart = (1..).zip(sizes).map(|(id, mib)| segment(id, mib)).collect();
    assert_eq!(plain(apart), Next::Nothing, "of several sizes");
}

#[test]
fn what_waits_too_long_or_costs_little_is_done_however_busy_others_are() {
    let pressing = |segments| match plain(segments) {
        Next::Do(plan) => plan.is_pressing,
        none @ (Next::At(_) | Next::Nothing) => panic!("no plan: {none:?}"),
    };
    assert!(!pressing((0..32).map(|id| segment(id, 1)).collect()));
    assert!(pressing((0..33).map(|id| segment(id, 1)).collect()), "a backlog of small segments");
    let worn = |rows| vec![dead(segment(1, 600), rows, 61_000)];
    assert!(!pressing(worn(240)));
    assert!(pressing(worn(250)), "a backlog of dead rows");
    assert!(pressing(worn(1000)), "nothing is written");
    assert!(pressing(vec![(0..17).fold(segment(1, 600), |s, _| dead(s, 1, 61_000))]));
}

#[test]
fn clustered_segments_are_not_merged_with_others_and_stay_clustered() {
    let clustered = |id, mib| SegmentEntry { level: SegmentLevel::L2, ..segment(id, mib) };
    let collection = collection(&[], true);
    let segments = (1..=9).map(|id| clustered(id, 20)).collect();
    assert_eq!(decide(&collection, segments, NOW_MS), Next::Nothing);
    let segments = vec![dead(clustered(1, 20), 300, 61_000), dead(segment(2, 20), 250, 61_000)];
    let Next::Do(plan) = decide(&collection, segments, NOW_MS) else { panic!("no plan") };
    assert_eq!(plan.inputs, [SegmentId(1)]);
    let Action::Rewrite { order, level, .. } = plan.action else { panic!("no rewrite") };
    assert_eq!((order, level), (RowOrder::Field(FieldId(101)), SegmentLevel::L2));
}

#[test]
fn expired_segments_leave_and_half_expired_ones_are_rewritten_in_time() {
    let ttl = collection(&[("collection.ttl.seconds", "3600")], false);
    let at = |min_age_s: u64, max_age_s: u64| SegmentEntry {
        min_ts: Timestamp::new(NOW_MS - max_age_s * 1000, 0),
        max_ts: Timestamp::new(NOW_MS - min_age_s * 1000, 0),
        ..segment(1, 600)
    };
    let Next::Do(plan) = decide(&ttl, vec![at(3700, 4000)], NOW_MS) else { panic!("no plan") };
    assert_eq!(plan.action, Action::Drop);
    assert_eq!(rewritten(decide(&ttl, vec![at(3000, 4000)], NOW_MS)).0, [1]);
    // A fifth of what was written between 1000 and 2000 seconds ago expires in 1800 seconds.
    let Next::At(wake) = decide(&ttl, vec![at(1000, 2000)], NOW_MS) else { panic!("no timer") };
    assert_eq!(wake, NOW_MS + (3600 - 1800) * 1000 + 60_001);
    assert_eq!(decide(&ttl, vec![at(1000, 2000)], wake - 1), Next::At(wake));
    assert_eq!(rewritten(decide(&ttl, vec![at(1000, 2000)], wake)).0, [1]);
}

#[test]
fn rows_expire_by_their_field_too_and_rows_without_a_value_do_not() {
    let ttl = collection(&[("ttl_field", "tag")], false);
    let micros = |age_s: i64| i64::try_from(NOW_MS).unwrap() * 1000 - age_s * 1_000_000;
    let expiring = |first: i64, last: i64, nulls: u64| {
        let range = Some(ValueRange::Int { min: micros(first), max: micros(last) });
        let stats = FieldStats { field_id: FieldId(101), rows: 1000, nulls, range };
        SegmentEntry { stats: vec![stats], ..segment(1, 600) }
    };
    let Next::Do(plan) = decide(&ttl, vec![expiring(90, 61, 0)], NOW_MS) else { panic!("none") };
    assert_eq!(plan.action, Action::Drop);
    assert_eq!(rewritten(decide(&ttl, vec![expiring(90, 61, 500)], NOW_MS)).0, [1]);
    assert_eq!(decide(&ttl, vec![expiring(90, 61, 900)], NOW_MS), Next::Nothing);
    // Of the rows that expire within the next hundred seconds, a fifth does so in twenty.
    let Next::At(wake) = decide(&ttl, vec![expiring(0, -100, 0)], NOW_MS) else { panic!("none") };
    assert_eq!(wake, NOW_MS + 80_000);
    assert_eq!(rewritten(decide(&ttl, vec![expiring(0, -100, 0)], wake)).0, [1]);
}

#[test]
fn a_segment_that_must_not_be_touched_is_left_out() {
    let (options, collection) = (CompactionOptions::default(), collection(&[], false));
    let manifest = &manifest((1..=9).map(|id| segment(id, 20)).collect());
    let excluded = HashSet::from([SegmentId(3)]);
    let scene = Scene {
        collection: &collection,
        manifest,
        options: &options,
        now_ms: NOW_MS,
        excluded: &excluded,
        waiting_bytes: 0,
    };
    assert_eq!(rewritten(next(scene)).0, [1, 2, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_partition_that_was_dropped_is_left_alone() {
    let gone = |id| SegmentEntry { partition_id: PartitionId(8), ..segment(id, 1) };
    assert_eq!(plain((1..=9).map(gone).collect()), Next::Nothing);
}

#[test]
fn by_hand_everything_small_is_packed_and_everything_dead_goes() {
    let plain = collection(&[], false);
    let segments = vec![
        segment(1, 600),
        segment(2, 300),
        dead(segment(3, 1000), 1, 6000),
        segment(4, 500),
        segment(5, 100),
        dead(segment(6, 50), 1000, 6000),
    ];
    let plans = asked(&plain, segments, CompactionKind::Merge);
    assert_eq!(plans[0].action, Action::Drop);
    assert_eq!(inputs(&plans), [vec![6], vec![3], vec![1, 2, 5]]);
    assert!(asked(&plain, vec![segment(1, 10)], CompactionKind::Merge).is_empty());
    let young = vec![dead(segment(1, 10), 1, 4000)];
    assert!(asked(&plain, young, CompactionKind::Merge).is_empty());
}

#[test]
fn a_target_size_packs_full_segments_too() {
    let plain = collection(&[], false);
    let segments: Vec<_> = (1..=5).map(|id| segment(id, 900)).collect();
    let force = |target_mib| CompactionKind::Force { target_mib };
    assert_eq!(inputs(&asked(&plain, segments.clone(), force(2048))), [vec![1, 2], vec![3, 4]]);
    let all = asked(&plain, segments, force(u64::MAX));
    assert_eq!(inputs(&all), [vec![1, 2, 3, 4, 5]]);
}

#[test]
fn more_segments_than_one_plan_may_have_are_compacted_in_passes() {
    let many = |count| (1..=count).map(|id| segment(id, 1)).collect::<Vec<_>>();
    for kind in [CompactionKind::Merge, CompactionKind::Force { target_mib: 2048 }] {
        let first = pass(&collection(&[], false), many(150), kind);
        let lengths: Vec<_> = first.plans.iter().map(|plan| plan.inputs.len()).collect();
        assert_eq!((lengths, first.goes_on), (vec![64, 64, 22], true));
        let second = pass(&collection(&[], false), many(3), kind);
        assert_eq!((second.plans.len(), second.goes_on), (1, false));
    }
    let keyed = collection(&[], true);
    let level = |plan: &Plan| match plan.action {
        Action::Rewrite { level, .. } => level,
        Action::Drop | Action::Fold => panic!("no rewrite: {plan:?}"),
    };
    let first = pass(&keyed, many(65), CompactionKind::Clustering);
    assert!(first.goes_on && first.plans.iter().all(|plan| level(plan) == SegmentLevel::L1));
    let full: Vec<_> = (1..=65).map(|id| segment(id, 1024)).collect();
    let only = pass(&keyed, full, CompactionKind::Clustering);
    let lengths: Vec<_> = only.plans.iter().map(|plan| plan.inputs.len()).collect();
    assert_eq!((lengths, only.goes_on), (vec![64, 1], false));
    assert!(only.plans.iter().all(|plan| level(plan) == SegmentLevel::L2));
    let gone = (1..=100).map(|id| dead(segment(id, 1), 1000, 61_000)).collect();
    let Next::Do(plan) = plain(gone) else { panic!("no plan") };
    assert_eq!(plan.inputs.len(), 64);
}

#[test]
fn clustering_needs_a_key_and_is_done_once() {
    let kind = CompactionKind::Clustering;
    let segments = vec![segment(1, 900), segment(2, 900)];
    assert!(asked(&collection(&[], false), segments.clone(), kind).is_empty());
    let keyed = collection(&[], true);
    let plans = asked(&keyed, segments.clone(), kind);
    assert_eq!(inputs(&plans), [vec![1, 2]]);
    let done = segments.into_iter().map(|s| SegmentEntry { level: SegmentLevel::L2, ..s });
    assert!(asked(&keyed, done.collect(), kind).is_empty());
}

#[test]
fn rows_dead_when_it_is_asked_for_are_old_enough_once_it_begins() {
    let options = CompactionOptions {
        manual_retention: Duration::from_secs(5),
        ..CompactionOptions::default()
    };
    let segments = manifest(vec![dead(segment(1, 1), 5, 0)]);
    assert_eq!(manual_ready_ms(&segments, &options), NOW_MS + 5000);
}

/// Works off `segments` as the plans say, each rewrite freeing what it may; how many plans it took.
fn worked_off(
    collection: &Collection,
    mut segments: Vec<SegmentEntry>,
) -> (usize, Vec<SegmentEntry>) {
    let mut new_id = 10_000;
    for done in 0..1000 {
        let Next::Do(plan) = decide(collection, segments.clone(), NOW_MS) else {
            return (done, segments);
        };
        let (inputs, mut left): (Vec<_>, Vec<_>) =
            segments.into_iter().partition(|entry| plan.inputs.contains(&entry.id));
        assert_eq!(inputs.len(), plan.inputs.len(), "inputs that are not there, or one twice");
        match plan.action {
            Action::Drop => {}
            Action::Fold => left.extend(inputs.into_iter().map(|entry| {
                let rows = entry.deleted_rows;
                dead(SegmentEntry { delete_files: Vec::new(), deleted_rows: 0, ..entry }, rows, 0)
            })),
            Action::Rewrite { level, .. } => {
                let bytes: u64 = inputs.iter().map(live_bytes).sum();
                new_id += 1;
                let columns = FileMeta { bytes: bytes.max(1), ..FileMeta::default() };
                let of_level = inputs.iter().all(|entry| entry.level == level);
                assert!(of_level, "levels are not mixed");
                left.push(SegmentEntry { columns, level, ..segment(new_id, 0) });
            }
        }
        segments = left;
    }
    panic!("it does not come to an end")
}

proptest! {
    #[test]
    fn any_manifest_is_worked_off_and_leaves_few_small_segments(
        sizes in prop::collection::vec((1_u64..1200, 0_u64..=1000, 0_u64..120_000), 0..60)
    ) {
        let segments = (1..).zip(&sizes).map(|(id, (mib, rows, age))| {
            if *rows == 0 { segment(id, *mib) } else { dead(segment(id, *mib), *rows, *age) }
        });
        let segments: Vec<_> = segments.collect();
        let before = segments.len();
        let (plans, left) = worked_off(&collection(&[], false), segments);
        prop_assert!(plans <= 2 * before);
        let small = left.iter().filter(|entry| bytes(entry) < 512 * MIB).count();
        prop_assert!(small <= 7 * 5, "{small} small segments of {}", left.len());
    }
}
