//! Iterators: page by page every live row once, in the order of an exact search, over every index.

use std::sync::Arc;

use milvus_index::IndexType;
use milvus_segment::{Cursor, Hit, RangeBounds, SealedSegment, SearchSpec, Segment};
use milvus_types::{KeyValue, MetricType, PkType, Timestamp};

use crate::model::growing;
use crate::sealed::{parts, parts_with, rows, spec};

/// The rows that an iterator gives at the snapshot of `spec`, page by page; `between` is called after
/// each page.
fn iterate(segment: &dyn Segment, spec: &SearchSpec, between: &mut dyn FnMut(usize)) -> Vec<Hit> {
    let mut all: Vec<Hit> = Vec::new();
    for page in 1.. {
        let after = all.last().map(|hit| Cursor {
            score: hit.score,
            key: hit.key.clone(),
            element: hit.element,
        });
        let spec = SearchSpec { iterator: true, after, ..spec.clone() };
        let hits = segment.search(&spec).unwrap().swap_remove(0);
        assert!(hits.len() <= spec.k);
        if hits.is_empty() {
            break;
        }
        all.extend(hits);
        between(page);
    }
    all
}

fn indexes() -> Vec<(IndexType, Vec<KeyValue>)> {
    let with = |index, pairs: &[(&str, &str)]| {
        (index, pairs.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect())
    };
    vec![
        with(IndexType::Flat, &[]),
        with(IndexType::IvfFlat, &[("nlist", "64")]),
        with(IndexType::IvfSq8, &[("nlist", "64")]),
        with(IndexType::IvfPq, &[("nlist", "64"), ("m", "3")]),
        with(IndexType::IvfRabitq, &[("nlist", "64")]),
        with(IndexType::Scann, &[("nlist", "64"), ("sub_dim", "1")]),
        with(IndexType::Hnsw, &[]),
        with(IndexType::HnswSq, &[("sq_type", "SQ4U")]),
        with(IndexType::HnswPq, &[("m", "3")]),
        with(IndexType::HnswPrq, &[("m", "3"), ("nrq", "2")]),
        with(IndexType::DiskAnn, &[]),
        with(IndexType::Annoy, &[("n_trees", "4")]),
        with(IndexType::AutoIndex, &[]),
    ]
}

#[test]
fn every_index_gives_each_row_once_and_in_order() {
    let exact = SealedSegment::open(parts(None)).unwrap();
    for (index, params) in indexes() {
        let segment = SealedSegment::open(parts_with(Some(index), &params)).unwrap();
        for (text, range) in [
            ("", None),
            ("age != 3", None),
            ("", Some(RangeBounds { radius: 3000.0, range_filter: Some(300.0) })),
        ] {
            let spec = SearchSpec { range, ..spec(MetricType::L2, 37, text, 100) };
            let spec = SearchSpec { queries: first_of(&spec), ..spec };
            let got = iterate(&segment, &spec, &mut |_| {});
            let want = exact.search(&SearchSpec { k: 1000, ..spec }).unwrap().swap_remove(0);
            assert!(want.len() > 300);
            assert_eq!(got, want, "{index:?} {text:?} {range:?}");
        }
    }
}

/// The first query alone.
fn first_of(spec: &SearchSpec) -> Arc<milvus_segment::Queries> {
    Arc::new(milvus_segment::Queries::new(spec.queries.data.take(&[0])))
}

#[test]
fn what_happens_after_the_snapshot_changes_no_page() {
    let growing = growing(PkType::Int64, &rows(), 100);
    let sealed = SealedSegment::open(parts_with(Some(IndexType::IvfFlat), &[])).unwrap();
    for segment in [&growing as &dyn Segment, &sealed] {
        let spec = spec(MetricType::L2, 23, "", 100);
        let spec = SearchSpec { queries: first_of(&spec), ..spec };
        let want = segment.search(&SearchSpec { k: 1000, ..spec.clone() }).unwrap().swap_remove(0);
        let got = iterate(segment, &spec, &mut |page| {
            // A later delete, and an iterator that sees it.
            let row = u32::try_from(page * 17).unwrap();
            segment.delete(&[(row, Timestamp(200 + page as u64))]);
            let later = SearchSpec { mvcc: Timestamp(1000), iterator: true, ..spec.clone() };
            let hits = segment.search(&SearchSpec { k: 1000, ..later }).unwrap().swap_remove(0);
            assert!(hits.iter().all(|hit| hit.row != row));
        });
        assert_eq!(got, want);
        assert!(want.len() > 800);
    }
}
