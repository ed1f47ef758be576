//! The property: whatever the rows, deletes, snapshot and filter, a growing segment, the sealed one
//! made of it and the model agree.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Int64Type, UInt64Type};
use milvus_segment::{Expiry, Queries, RangeBounds, SearchSpec, Segment};
use milvus_types::columns::TIMESTAMP_COLUMN;
use milvus_types::{MetricType, PkType, PrimaryKey, PrimaryKeys, Timestamp};
use proptest::prelude::*;

use crate::model::{DIM, Row, filter, growing, sealed};

type Check = fn(&Row) -> bool;

/// Filters, and what they mean.
const FILTERS: [(&str, Check); 7] = [
    ("", |_| true),
    ("age > 2", |row| row.age.is_some_and(|age| age > 2)),
    ("age is null", |row| row.age.is_none()),
    ("red == true and age < 4", |row| row.red && row.age.is_some_and(|age| age < 4)),
    ("name like \"a%\"", |row| row.name.starts_with('a')),
    ("not (red == true)", |row| !row.red),
    ("age > 100", |_| false),
];

pub(crate) fn rows() -> impl Strategy<Value = Vec<Row>> {
    let vector = prop::array::uniform3((-3_i8..4).prop_map(f32::from));
    let row = (
        0..30_i64,
        prop::option::of(0..6_i64),
        any::<bool>(),
        "[ab]{0,2}",
        vector,
        0..3_u64,
        prop::option::weighted(0.3, 0..20_u64),
    );
    prop::collection::vec(row, 1..150).prop_map(|rows| {
        let mut ts = 10;
        rows.into_iter()
            .map(|(key, age, red, name, vector, step, deleted_after)| {
                ts += step;
                let deleted = deleted_after.map(|after| ts + after);
                Row { key, age, red, name, vector, ts, deleted }
            })
            .collect()
    })
}

fn assert_same(
    segment: &dyn Segment,
    pk_type: PkType,
    rows: &[Row],
    mvcc: u64,
    filter_number: usize,
) {
    let (text, passes) = FILTERS[filter_number];
    let filter = filter(pk_type, text);
    let live: Vec<(u32, &Row)> =
        (0..).zip(rows).filter(|(_, row)| row.visible(mvcc) && passes(row)).collect();
    let snapshot = Timestamp(mvcc);
    assert_eq!(segment.rows() as usize, rows.len());
    assert_eq!(segment.count(&filter, snapshot, &Expiry::default()).unwrap(), live.len() as u64);

    let mut by_key: Vec<(PrimaryKey, u32)> =
        live.iter().map(|(n, row)| (row.key(pk_type), *n)).collect();
    by_key.sort();
    for limit in [None, Some(0), Some(1), Some(5), Some(1000)] {
        let got = segment.select(&filter, None, snapshot, &Expiry::default(), limit).unwrap();
        let got: Vec<_> = got.keys.iter().zip(got.rows).collect();
        assert_eq!(got, by_key[..limit.unwrap_or(usize::MAX).min(by_key.len())]);
    }
    let wanted: Vec<PrimaryKey> =
        [3, 3, 8, 1, 99].map(|key| Row { key, ..rows[0].clone() }.key(pk_type)).into();
    let wanted = PrimaryKeys::from_keys(pk_type, &wanted);
    let got = segment.select(&filter, Some(&wanted), snapshot, &Expiry::default(), None).unwrap();
    let got: Vec<_> = got.keys.iter().zip(got.rows).collect();
    let want: Vec<_> =
        by_key.iter().filter(|(key, _)| wanted.iter().any(|wanted| wanted == *key)).collect();
    assert_eq!(got.iter().collect::<Vec<_>>(), want);

    for metric in [MetricType::L2, MetricType::Ip, MetricType::Cosine] {
        assert_search(segment, pk_type, &live, metric, &filter, snapshot);
    }
}

fn assert_search(
    segment: &dyn Segment,
    pk_type: PkType,
    live: &[(u32, &Row)],
    metric: MetricType,
    filter: &milvus_expr::Plan,
    mvcc: Timestamp,
) {
    let queries = [[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]];
    let sign = if metric.larger_is_better() { -1.0 } else { 1.0 };
    let bounds = match metric {
        MetricType::L2 => RangeBounds { radius: 14.0, range_filter: Some(4.0) },
        _ => RangeBounds { radius: 0.1, range_filter: Some(0.7) },
    };
    for (k, range) in [(4, None), (1000, None), (1000, Some(bounds)), (2, Some(bounds))] {
        let vectors = Arc::new(Queries::floats(queries.concat(), DIM).unwrap());
        let spec = SearchSpec {
            range,
            ..SearchSpec::new("vector", metric, vectors, k, filter.clone(), mvcc)
        };
        let found = segment.search(&spec).unwrap();
        assert_eq!(found.len(), queries.len());
        for (query, hits) in queries.iter().zip(found) {
            let within = |score: f32| match (range, metric) {
                (None, _) => true,
                (Some(_), MetricType::L2) => (4.0..14.0).contains(&score),
                (Some(_), _) => score > 0.1 && score <= 0.7,
            };
            let close = |score: f32| match range {
                // Rounding may put a score on either side of a bound.
                Some(bounds) => [Some(bounds.radius), bounds.range_filter]
                    .into_iter()
                    .flatten()
                    .any(|bound| (bound - score).abs() < 1e-4),
                None => false,
            };
            let scores: Vec<f32> = live.iter().map(|(_, row)| row.score(metric, query)).collect();
            let sure = scores.iter().filter(|score| within(**score) && !close(**score)).count();
            let most = scores.iter().filter(|score| within(**score) || close(**score)).count();
            assert!((sure.min(k)..=most.min(k)).contains(&hits.len()), "{} hits", hits.len());
            let mut best: Vec<f32> =
                scores.iter().filter(|s| within(**s) || close(**s)).map(|s| s * sign).collect();
            best.sort_by(f32::total_cmp);
            for (n, hit) in hits.iter().enumerate() {
                let (_, row) = live.iter().find(|(row, _)| *row == hit.row).unwrap();
                assert_eq!(row.key(pk_type), hit.key);
                assert!((row.score(metric, query) - hit.score).abs() < 1e-4);
                if range.is_none() {
                    assert!(
                        (best[n] - hit.score * sign).abs() < 1e-4,
                        "hit {n} is not the next best"
                    );
                }
            }
            for pair in hits.windows(2) {
                let [a, b] = pair else { unreachable!() };
                let order = (a.score * sign).total_cmp(&(b.score * sign));
                assert!(order.then_with(|| a.key.cmp(&b.key)).is_le(), "{a:?} before {b:?}");
            }
        }
    }
}

fn assert_fetches(segment: &dyn Segment, rows: &[Row], wanted: &[u32]) {
    let columns = ["name", TIMESTAMP_COLUMN, "vector", "age"].map(str::to_owned);
    let batch = segment.fetch(wanted, &columns).unwrap();
    assert_eq!(batch.num_rows(), wanted.len());
    let names = batch.column(0).as_string::<i32>();
    let timestamps = batch.column(1).as_primitive::<UInt64Type>();
    let vectors = batch.column(2).as_fixed_size_list().values().as_primitive::<Float32Type>();
    let ages = batch.column(3).as_primitive::<Int64Type>();
    for (n, row) in wanted.iter().enumerate() {
        let row = &rows[*row as usize];
        assert_eq!(names.value(n), row.name);
        assert_eq!(timestamps.value(n), row.ts);
        assert_eq!(vectors.values()[n * DIM..(n + 1) * DIM], row.vector);
        assert_eq!(ages.iter().nth(n).unwrap(), row.age);
    }
    let none = segment.fetch(wanted, &[]).unwrap();
    assert_eq!((none.num_rows(), none.num_columns()), (wanted.len(), 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn growing_sealed_and_model_agree(
        rows in rows(),
        split in 1..40_usize,
        mvcc in 5..180_u64,
        filter in 0..FILTERS.len(),
        varchar in any::<bool>(),
        key_index in any::<bool>(),
        wanted in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let pk_type = if varchar { PkType::VarChar } else { PkType::Int64 };
        let growing = growing(pk_type, &rows, split);
        let sealed = sealed(&growing, key_index);
        let wanted: Vec<u32> =
            wanted.iter().map(|index| u32::try_from(index.index(rows.len())).unwrap()).collect();
        for segment in [&growing as &dyn Segment, &sealed] {
            for mvcc in [mvcc, 100_000] {
                assert_same(segment, pk_type, &rows, mvcc, filter);
            }
            assert_fetches(segment, &rows, &wanted);
        }
        prop_assert_eq!(growing.deletes(), sealed.deletes());
    }

    #[test]
    fn a_filter_by_key_finds_what_a_scan_finds(rows in rows(), mvcc in 5..180_u64) {
        let growing = growing(PkType::Int64, &rows, 16);
        let sealed = sealed(&growing, true);
        let keys = filter(PkType::Int64, "id in [3, 4, 29, 77]");
        prop_assert!(keys.primary_keys().is_some());
        let scan = filter(PkType::Int64, "id in [3, 4, 29, 77] and id > -1");
        prop_assert!(scan.primary_keys().is_none());
        for segment in [&growing as &dyn Segment, &sealed] {
            let by_key = segment.select(&keys, None, Timestamp(mvcc), &Expiry::default(), None).unwrap();
            prop_assert_eq!(&by_key, &segment.select(&scan, None, Timestamp(mvcc), &Expiry::default(), None).unwrap());
            prop_assert_eq!(
                segment.count(&keys, Timestamp(mvcc), &Expiry::default()).unwrap(),
                by_key.rows.len() as u64
            );
        }
    }
}
