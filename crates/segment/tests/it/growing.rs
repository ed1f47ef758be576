//! Growing segments: many small inserts, readers beside a writer, and what is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use milvus_segment::{
    CHUNK_ROWS, Expiry, FetchError, GrowingSegment, InsertError, Segment, SegmentSchema,
};
use milvus_types::{PkType, Timestamp};

use crate::model::{ID, PARTITION, Row, batch, filter, growing, schema};

fn row(key: i64, ts: u64) -> Row {
    let vector = [key as f32, 0.0, 1.0];
    Row { key, age: Some(key), red: false, name: String::new(), vector, ts, deleted: None }
}

fn empty() -> GrowingSegment {
    let schema = SegmentSchema::new(&schema(PkType::Int64)).unwrap();
    GrowingSegment::new(ID, PARTITION, Arc::new(schema))
}

#[test]
fn single_row_inserts_do_not_leave_single_row_chunks() {
    let rows: Vec<Row> = (0..20_000).map(|key| row(key, 1 + key as u64)).collect();
    let segment = growing(PkType::Int64, &rows, 1);
    let (_, chunks) = segment.chunks().unwrap();
    assert!(chunks.len() <= 20_000 / (CHUNK_ROWS as usize / 2) + 14, "{} chunks", chunks.len());
    let lens = || chunks.iter().map(|chunk| chunk.rows.num_rows());
    assert_eq!(lens().sum::<usize>(), 20_000);
    assert!(lens().all(|len| len <= CHUNK_ROWS as usize));
    let timestamps = chunks.iter().flat_map(|chunk| chunk.timestamps.values().iter().copied());
    assert!(timestamps.eq(1..=20_000));
    assert_eq!(segment.keys().iter().count(), 20_000);
    assert_eq!(segment.min_ts(), Some(Timestamp(1)));
    assert_eq!(segment.max_ts(), Some(Timestamp(20_000)));
    assert!(segment.bytes() > 20_000 * 8 * 3 && segment.memory_bytes() >= segment.bytes());
}

#[test]
fn readers_see_whole_inserts_only_and_never_fewer_rows_than_before() {
    let segment = Arc::new(empty());
    let schema = Arc::clone(segment.schema().arrow());
    let done = Arc::new(AtomicBool::new(false));
    let all = filter(PkType::Int64, "");
    let reader = {
        let (segment, done, all) = (Arc::clone(&segment), Arc::clone(&done), all.clone());
        std::thread::spawn(move || {
            let mut seen = 0;
            while !done.load(Ordering::Acquire) {
                let count = segment.count(&all, Timestamp::MAX, &Expiry::default()).unwrap();
                assert!(count >= seen && count % 7 == 0, "{count} after {seen}");
                seen = count;
            }
        })
    };
    for insert in 0..600 {
        let rows: Vec<Row> = (0..7).map(|n| row(insert * 7 + n, 1 + insert as u64)).collect();
        let ts = Timestamp(1 + insert as u64);
        segment.insert(ts, batch(&schema, PkType::Int64, &rows)).unwrap();
    }
    done.store(true, Ordering::Release);
    reader.join().unwrap();
    assert_eq!(segment.count(&all, Timestamp::MAX, &Expiry::default()).unwrap(), 4200);
    assert_eq!(segment.count(&all, Timestamp(100), &Expiry::default()).unwrap(), 700);
}

#[test]
fn what_does_not_fit_is_refused() {
    let segment = empty();
    let schema = Arc::clone(segment.schema().arrow());
    let rows = batch(&schema, PkType::Int64, &[row(1, 5)]);
    segment.insert(Timestamp(5), rows.clone()).unwrap();
    let back = segment.insert(Timestamp(4), rows.clone()).unwrap_err();
    assert!(matches!(back, InsertError::TimestampWentBack { .. }), "{back}");
    let narrow = rows.project(&[0, 1]).unwrap();
    let narrow = segment.insert(Timestamp(6), narrow).unwrap_err();
    assert!(matches!(narrow, InsertError::Schema { .. }), "{narrow}");
    assert_eq!(segment.insert(Timestamp(6), rows.slice(0, 0)).unwrap(), 1..1);
    assert_eq!(segment.rows(), 1);

    let beyond = segment.fetch(&[0, 1], &["age".to_owned()]).unwrap_err();
    assert_eq!(beyond.to_string(), "segment 7 has 1 rows, row 1 was asked for");
    let missing = segment.fetch(&[0], &["nope".to_owned()]).unwrap_err();
    assert!(matches!(missing, FetchError::Column(_)));
    assert_eq!(empty().fetch(&[], &["vector".to_owned()]).unwrap().num_rows(), 0);
}
