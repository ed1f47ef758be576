//! Pruning by statistics: a sealed segment answers alike with and without them, and reads nothing
//! where they rule the filter out.

use std::sync::Arc;

use milvus_segment::{Expiry, Queries, SealedParts, SealedSegment, SearchSpec, Segment};
use milvus_types::{FieldId, FieldStats, MetricType, PkType, PrimaryKeys, Timestamp, ValueRange};
use proptest::prelude::*;

use crate::model::{DIM, Row, file_and_stats, filter, growing};
use crate::same_answers::rows;
use crate::sealed::{parts, spec};

const FILTERS: [&str; 14] = [
    "age > 4",
    "not (age <= 4)",
    "age in [0, 7]",
    "age is null",
    "age is not null and red == false",
    "red == false",
    "not (red == true)",
    "name < \"a\"",
    "name like \"b%\"",
    "name == \"ab\" or age == 5",
    "id == 3",
    "id in [1, 2, 3, 29, 40]",
    "id > 25 and age < 1",
    "not (id <= 25 or name != \"aa\")",
];

/// The same segment with `stats`.
fn open(rows: &[Row], stats: impl FnOnce(Vec<FieldStats>) -> Vec<FieldStats>) -> SealedSegment {
    let growing = growing(PkType::Int64, rows, 50);
    let (file, known) = file_and_stats(&growing);
    SealedSegment::open(SealedParts {
        id: growing.id(),
        partition_id: growing.partition_id(),
        schema: growing.schema(),
        file,
        deletes: growing.deletes().entries(),
        indexes: Vec::new(),
        scalar_indexes: Vec::new(),
        key_index: None,
        stats: stats(known),
    })
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn pruning_never_changes_an_answer(rows in rows(), few in 1_usize..6, mvcc in 0_u64..60) {
        // Few rows rule out more filters.
        for rows in [&rows[..few.min(rows.len())], &rows[..]] {
            let (pruned, plain) = (open(rows, |known| known), open(rows, |_| Vec::new()));
            for text in FILTERS {
                let filter = filter(PkType::Int64, text);
                let (mvcc, never) = (Timestamp(mvcc), Expiry::default());
                let count = |segment: &SealedSegment| segment.count(&filter, mvcc, &never).unwrap();
                prop_assert_eq!(count(&pruned), count(&plain), "{}", text);
                let keys = PrimaryKeys::Int64(vec![0, 3, 9, 28, 99].into());
                for keys in [None, Some(&keys)] {
                    let select = |segment: &SealedSegment| {
                        segment.select(&filter, keys, mvcc, &never, Some(9)).unwrap()
                    };
                    let (got, want) = (select(&pruned), select(&plain));
                    prop_assert_eq!((got.keys, got.rows), (want.keys, want.rows), "{}", text);
                }
                let queries = Arc::new(Queries::floats(vec![1.0; DIM], DIM).unwrap());
                let spec = SearchSpec::new("vector", MetricType::L2, queries, 5, filter.clone(), mvcc);
                prop_assert_eq!(pruned.search(&spec).unwrap(), plain.search(&spec).unwrap());
            }
        }
    }
}

#[test]
fn a_filter_that_statistics_rule_out_reads_no_row() {
    // Statistics that are not those of the rows: what they rule out is not found although it is there.
    let stats = |range| vec![FieldStats { field_id: FieldId(101), rows: 1000, nulls: 0, range }];
    let with = |stats| SealedSegment::open(SealedParts { stats, ..parts(None) }).unwrap();
    let wrong = with(stats(Some(ValueRange::Int { min: 100, max: 200 })));
    let right = with(Vec::new());
    let filter = filter(PkType::Int64, "age == 3");
    let (mvcc, never) = (Timestamp(1000), Expiry::default());
    assert!(right.count(&filter, mvcc, &never).unwrap() > 0);
    assert_eq!(wrong.count(&filter, mvcc, &never).unwrap(), 0);
    assert!(wrong.select(&filter, None, mvcc, &never, None).unwrap().rows.is_empty());
    let spec = spec(MetricType::L2, 3, "age == 3", 1000);
    assert!(right.search(&spec).unwrap().iter().all(|hits| !hits.is_empty()));
    assert_eq!(wrong.search(&spec).unwrap(), vec![Vec::new(); 2]);
}
