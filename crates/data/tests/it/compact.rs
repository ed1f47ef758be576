//! Compaction beside a model: which rows stay, where each went, what a reader sees.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use milvus_expr::{Templates, plan};
use milvus_format::{SegmentEntry, SegmentLevel, path};
use milvus_roles::{CompactSegments, Compacted, DataNode, RowOrder};
use milvus_segment::{Expiry, SealedParts, SealedSegment, Segment, SegmentSchema, constant};
use milvus_types::columns::{FIELD_ID, arrow_type};
use milvus_types::{FieldId, FieldSchema, PkType, SegmentId, Timestamp};
use proptest::prelude::*;
use rand::RngExt;

use crate::fixture::{COLLECTION, NEWEST, Opened, PARTITION, World};

/// The value of `field` in `row`, as an array of one.
pub(crate) fn value(opened: &Opened, field: &FieldSchema, row: usize) -> ArrayRef {
    let id = field.id.to_string();
    let columns = opened.file.rows.schema_ref().fields();
    let at = columns.iter().position(|column| column.metadata().get(FIELD_ID) == Some(&id));
    at.map_or_else(|| constant(field, 1), |at| opened.file.rows.column(at).slice(row, 1))
}

/// Whether the model keeps `row` of an input.
fn stays(opened: &Opened, row: usize, task: &CompactSegments) -> bool {
    let deleted = opened.deletes[row].is_some_and(|ts| ts <= task.purge_until.0);
    !deleted && !expired(opened, row, task)
}

fn expired(opened: &Opened, row: usize, task: &CompactSegments) -> bool {
    let inserted = Timestamp(opened.file.timestamps.value(row));
    if task.expiry.rows_before.is_some_and(|before| inserted < before) {
        return true;
    }
    let Some((name, now)) = &task.expiry.field else { return false };
    let field = task.collection.schema.field(name).unwrap();
    let value = value(opened, field, row);
    let value = value.as_primitive::<TimestampMicrosecondType>();
    value.is_valid(0) && value.value(0) <= *now
}

/// A random task over the world's segments.
fn random_task(world: &mut World) -> CompactSegments {
    let mut task = world.task();
    let rng = &mut world.rng;
    task.purge_until = Timestamp(rng.random_range(0..NEWEST + 10));
    let fields = [102, 103, 104, 105, 106, 107, 108, 111, 300, 301];
    task.order = match rng.random_bool(0.5) {
        true => RowOrder::Key,
        false => RowOrder::Field(FieldId(fields[rng.random_range(0..fields.len())])),
    };
    if rng.random_bool(0.3) {
        task.expiry.rows_before = Some(Timestamp(rng.random_range(0..NEWEST)));
    }
    if rng.random_bool(0.3) {
        task.expiry.field = Some(("expires".to_owned(), rng.random_range(0..100)));
    }
    let names = rng.random_range(1..5);
    task.output_ids = (0..names).map(|id| SegmentId(100 + id)).collect();
    task.target_bytes = rng.random_range(0..20_000);
    task.level = SegmentLevel::L2;
    task
}

async fn open_all(world: &World, entries: &[SegmentEntry]) -> Vec<Opened> {
    let mut opened = Vec::new();
    for entry in entries {
        opened.push(world.open(entry).await);
    }
    opened
}

/// Every row that stays is somewhere once, unchanged, with its later delete; nothing else is.
fn check_rows(task: &CompactSegments, done: &Compacted, inputs: &[Opened], outputs: &[Opened]) {
    let schema = &task.collection.schema;
    let mut taken = HashSet::new();
    assert_eq!(done.moved.len(), inputs.len());
    for (input, (opened, moved)) in task.inputs.iter().zip(inputs.iter().zip(&done.moved)) {
        assert_eq!((moved.from, moved.to.len() as u64), (input.id, input.rows));
        for row in 0..moved.to.len() {
            let target = moved.target(u32::try_from(row).unwrap());
            assert_eq!(target.is_some(), stays(opened, row, task), "row {row} of {}", input.id);
            let Some((output, to)) = target else { continue };
            assert!(taken.insert((output, to)), "two rows went to one place");
            let (output, to) = (&outputs[output], to as usize);
            assert_eq!(output.file.timestamps.value(to), opened.file.timestamps.value(row));
            assert_eq!(output.deletes[to], opened.deletes[row]);
            for field in &schema.fields {
                let (got, want) = (value(output, field, to), value(opened, field, row));
                assert_eq!(got.to_data(), want.to_data(), "{}", field.name);
            }
        }
    }
    let rows: usize = outputs.iter().map(|output| output.deletes.len()).sum();
    assert_eq!(taken.len(), rows);
}

/// Compares values as their field orders them, nulls first.
fn compare(a: &ArrayRef, b: &ArrayRef) -> Ordering {
    let options = arrow::compute::SortOptions { descending: false, nulls_first: true };
    arrow::array::make_comparator(a, b, options).unwrap()(0, 0)
}

/// Within and across the outputs rows are in the order asked for.
fn check_order(task: &CompactSegments, outputs: &[Opened]) {
    let schema = &task.collection.schema;
    let lead = match task.order {
        RowOrder::Key => schema.primary_key().unwrap(),
        RowOrder::Field(id) => schema.field_by_id(id).unwrap(),
    };
    let rows =
        outputs.iter().flat_map(|output| (0..output.deletes.len()).map(move |r| (output, r)));
    let rows: Vec<(&Opened, usize)> = rows.collect();
    for [(a, i), (b, j)] in rows.array_windows() {
        let by = |field: &FieldSchema| compare(&value(a, field, *i), &value(b, field, *j));
        let times = a.file.timestamps.value(*i).cmp(&b.file.timestamps.value(*j));
        let order = by(lead).then(by(schema.primary_key().unwrap())).then(times);
        assert!(order.is_le(), "rows {i} and {j} by {}", lead.name);
    }
}

/// What the manifest will say of the outputs is so.
fn check_entries(task: &CompactSegments, done: &Compacted, outputs: &[Opened]) {
    let schema = &task.collection.schema;
    assert!(done.outputs.len() <= task.output_ids.len());
    for ((entry, opened), id) in done.outputs.iter().zip(outputs).zip(&task.output_ids) {
        assert_eq!((entry.id, entry.partition_id), (*id, PARTITION));
        assert_eq!((entry.level, entry.schema_version), (task.level, schema.version));
        assert_eq!(entry.columns.path, path::columns(COLLECTION, PARTITION, *id));
        assert!(entry.rows > 0 && entry.indexes.is_empty());
        let times = || opened.file.timestamps.values().iter().copied();
        assert_eq!(entry.min_ts.0, times().min().unwrap());
        assert_eq!(entry.max_ts.0, times().max().unwrap());
        let dead = opened.deletes.iter().flatten();
        assert_eq!(entry.deleted_rows, dead.clone().count() as u64);
        assert_eq!(entry.delete_files.len(), usize::from(entry.deleted_rows > 0));
        assert_eq!(entry.delete_files.first().map(|file| file.max_ts.0), dead.max().copied());
        for row in 0..opened.deletes.len() {
            let found: Vec<u32> = opened.keys.get(&opened.key(row, schema)).collect();
            assert!(found.contains(&u32::try_from(row).unwrap()), "row {row} by its key");
        }
        assert_eq!(opened.keys.len() as u64, entry.rows);
        for field in &schema.fields {
            let column = opened.file.rows.column_by_name(&field.name).unwrap();
            assert_eq!(*column.data_type(), arrow_type(field).unwrap());
        }
        assert_eq!(opened.file.rows.num_columns(), schema.fields.len());
    }
}

fn sealed(entry: &SegmentEntry, opened: &Opened, task: &CompactSegments) -> SealedSegment {
    SealedSegment::open(SealedParts {
        id: entry.id,
        partition_id: entry.partition_id,
        schema: Arc::new(SegmentSchema::new(&task.collection.schema).unwrap()),
        file: opened.file.clone(),
        deletes: opened.entries.clone(),
        indexes: Vec::new(),
        scalar_indexes: Vec::new(),
        key_index: Some(opened.keys.clone()),
        stats: entry.stats.clone(),
    })
    .unwrap()
}

/// (key, timestamp) of every row that a reader of `segments` at `mvcc` sees.
fn seen(
    segments: &[SealedSegment],
    task: &CompactSegments,
    mvcc: Timestamp,
    expiry: &Expiry,
    filter: &str,
) -> Vec<(String, u64)> {
    let filter = plan(filter, &task.collection.schema, &Templates::default()).unwrap();
    let mut seen = Vec::new();
    for segment in segments {
        let found = segment.select(&filter, None, mvcc, expiry, None).unwrap();
        let columns = ["$timestamp".to_owned()];
        let times = segment.fetch(&found.rows, &columns).unwrap();
        let times = times.column(0).as_primitive::<arrow::datatypes::UInt64Type>().clone();
        seen.extend(found.keys.iter().zip(times.values()).map(|(key, ts)| (key.to_string(), *ts)));
    }
    seen.sort();
    seen
}

async fn check_one(seed: u64, pk_type: PkType) {
    let mut world = World::random(seed, pk_type, 60).await;
    let task = random_task(&mut world);
    let (service, governor) = world.service(1 << 30);
    let done = service.compact(task.clone()).await.unwrap();
    let inputs = open_all(&world, &task.inputs).await;
    let outputs = open_all(&world, &done.outputs).await;
    check_rows(&task, &done, &inputs, &outputs);
    check_order(&task, &outputs);
    check_entries(&task, &done, &outputs);
    assert_eq!(governor.used(), 0);

    let before: Vec<_> =
        task.inputs.iter().zip(&inputs).map(|(entry, o)| sealed(entry, o, &task)).collect();
    let after: Vec<_> =
        done.outputs.iter().zip(&outputs).map(|(entry, o)| sealed(entry, o, &task)).collect();
    for mvcc in task.purge_until.0..NEWEST + 25 {
        for filter in ["", "number > 0", "late is null or late_default == 42"] {
            let mvcc = Timestamp(mvcc);
            let want = seen(&before, &task, mvcc, &task.expiry, filter);
            let got = seen(&after, &task, mvcc, &Expiry::default(), filter);
            assert_eq!(got, want, "at {mvcc:?} where {filter:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_reader_sees_after_compaction_what_it_saw_before_and_every_row_is_where_it_is_said_to_be(
        seed in any::<u32>(), text in any::<bool>()
    ) {
        let pk_type = if text { PkType::VarChar } else { PkType::Int64 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_one(u64::from(seed), pk_type));
    }
}

/// Has `spoil` change what a compaction gave, and says whether the check of rows finds it.
async fn is_caught(spoil: impl Fn(&mut Compacted, &mut [Opened])) -> bool {
    let world = World::random(5, PkType::Int64, 200).await;
    let (service, _) = world.service(1 << 30);
    let task = world.task();
    let mut done = service.compact(task.clone()).await.unwrap();
    let inputs = open_all(&world, &task.inputs).await;
    let mut outputs = open_all(&world, &done.outputs).await;
    check_rows(&task, &done, &inputs, &outputs);
    spoil(&mut done, &mut outputs);
    let check = || check_rows(&task, &done, &inputs, &outputs);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
}

#[tokio::test]
async fn the_check_of_rows_finds_a_wrong_place_a_lost_row_and_a_lost_delete() {
    let swapped = |done: &mut Compacted, _: &mut [Opened]| done.moved[0].to.swap(0, 1);
    assert!(is_caught(swapped).await);
    let lost = |done: &mut Compacted, _: &mut [Opened]| done.moved[0].to[0] = (u32::MAX, u32::MAX);
    assert!(is_caught(lost).await);
    let undeleted = |_: &mut Compacted, outputs: &mut [Opened]| {
        let first = outputs[0].deletes.iter_mut().find(|deleted| deleted.is_some());
        *first.unwrap() = None;
    };
    assert!(is_caught(undeleted).await);
}

#[tokio::test]
async fn rows_that_are_all_gone_leave_no_output() {
    let world = World::random(3, PkType::Int64, 40).await;
    let (service, _) = world.service(1 << 30);
    let expiry = Expiry { rows_before: Some(Timestamp::MAX), field: None };
    let before = world.store.list("").await.unwrap();
    let done = service.compact(CompactSegments { expiry, ..world.task() }).await.unwrap();
    assert!(done.outputs.is_empty());
    let targets: usize = done.moved.iter().map(|moved| moved.to.len()).sum();
    assert_eq!(targets as u64, world.inputs.iter().map(|input| input.rows).sum::<u64>());
    assert!(done.moved.iter().all(|moved| (0..40).all(|row| moved.target(row).is_none())));
    assert_eq!(world.store.list("").await.unwrap(), before);
}

#[tokio::test]
async fn outputs_are_about_as_large_as_asked_for_and_no_more_than_have_names() {
    let mut world = World::random(11, PkType::Int64, 3000).await;
    while world.inputs.iter().map(|input| input.rows).sum::<u64>() < 2000 {
        world = World::random(world.rng.random(), PkType::Int64, 3000).await;
    }
    let (service, _) = world.service(1 << 30);
    let one = service.compact(world.task()).await.unwrap();
    let whole = one.outputs[0].columns.bytes;
    let mut task = world.task();
    task.target_bytes = whole / 4;
    task.output_ids = (200..220).map(SegmentId).collect();
    let done = service.compact(task.clone()).await.unwrap();
    assert!((4..=5).contains(&done.outputs.len()), "{} outputs", done.outputs.len());
    for output in &done.outputs {
        let share = output.columns.bytes * done.outputs.len() as u64;
        assert!(share > whole * 8 / 10 && share < whole * 12 / 10, "{} of {whole}", output.id);
    }
    task.output_ids = vec![SegmentId(300), SegmentId(301)];
    let done = service.compact(task).await.unwrap();
    assert_eq!(done.outputs.len(), 2);
}
