//! MinHash signatures in rows that no index covers: hashes are as wide as the search says.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch};
use milvus_expr::{Templates, plan};
use milvus_index::VectorData;
use milvus_segment::{GrowingSegment, HASH_BITS, Queries, SearchSpec, Segment, SegmentSchema};
use milvus_types::{
    CollectionSchema, DataType, FieldId, FieldSchema, KeyValue, MetricType, Timestamp,
};

use crate::model::{ID, PARTITION, sealed};

/// Bytes of a signature: four hashes of 32 bits, sixteen of eight.
const BYTES: usize = 16;

#[test]
fn rows_without_an_index_are_scored_by_whole_hashes() {
    let field = |id, name: &str, data_type| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        type_params: vec![KeyValue::new("dim", (BYTES * 8).to_string())],
        ..FieldSchema::default()
    };
    let schema = CollectionSchema {
        fields: vec![
            FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) },
            field(101, "v", DataType::BinaryVector),
        ],
        ..CollectionSchema::default()
    };
    let query = [7; BYTES];
    // The same, one byte of one hash apart, one byte of each hash apart.
    let mut rows = [query; 3];
    rows[1][5] = 1;
    (0..4).for_each(|hash| rows[2][hash * 4] = 1);
    let segment =
        GrowingSegment::new(ID, PARTITION, Arc::new(SegmentSchema::new(&schema).unwrap()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..3)),
        Arc::new(FixedSizeBinaryArray::try_from_iter(rows.iter()).unwrap()),
    ];
    let batch = RecordBatch::try_new(Arc::clone(segment.schema().arrow()), columns).unwrap();
    segment.insert(Timestamp(1), batch).unwrap();

    let all = plan("", &schema, &Templates::default()).unwrap();
    let vector =
        VectorData::dense(DataType::BinaryVector, BYTES * 8, Arc::new(query.to_vec())).unwrap();
    let queries = Arc::new(Queries::new(vector));
    let spec = SearchSpec::new("v", MetricType::MhJaccard, queries, 3, all, Timestamp::MAX);
    let sealed = sealed(&segment, false);
    for segment in [&segment as &dyn Segment, &sealed] {
        for (bits, want) in [
            ("32", [1.0, 0.75, 0.0]),
            ("8", [1.0, 0.9375, 0.75]),
            // No whole number of hashes: eight bits, as without a width.
            ("24", [1.0, 0.9375, 0.75]),
        ] {
            for iterator in [false, true] {
                let params = vec![KeyValue::new(HASH_BITS, bits)];
                let spec = SearchSpec { params, iterator, ..spec.clone() };
                let hits = segment.search(&spec).unwrap().swap_remove(0);
                let scores: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
                assert_eq!(scores, want, "{bits} bits, iterator {iterator}");
            }
        }
    }
}
