//! Vectors of every kind, nulls among them, and lists of vectors: searched and fetched alike in
//! growing and sealed segments.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, FixedSizeBinaryArray, FixedSizeListArray,
    Float32Array, Int8Array, Int64Array, ListArray, RecordBatch, make_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use milvus_expr::{Plan, Templates, plan};
use milvus_format::{open_segment, write_segment};
use milvus_index::{SparseRows, VectorData};
use milvus_segment::{
    GrowingSegment, Queries, SealedParts, SealedSegment, SearchSpec, Segment, SegmentSchema,
};
use milvus_types::columns::{arrow_type, vector_element};
use milvus_types::{
    CollectionSchema, DataType, FieldId, FieldSchema, KeyValue, MetricType, StructField, Timestamp,
};

use crate::model::{ID, PARTITION};

const DIM: usize = 8;

fn field(id: i64, name: &str, data_type: DataType) -> FieldSchema {
    FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        type_params: vec![KeyValue::new("dim", DIM.to_string())],
        ..FieldSchema::default()
    }
}

fn schema() -> CollectionSchema {
    let vector =
        |id, name: &str, data_type| FieldSchema { nullable: true, ..field(id, name, data_type) };
    CollectionSchema {
        fields: vec![
            FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) },
            vector(101, "float", DataType::FloatVector),
            vector(102, "half", DataType::Float16Vector),
            vector(103, "brain", DataType::BFloat16Vector),
            vector(104, "byte", DataType::Int8Vector),
            vector(105, "bit", DataType::BinaryVector),
            vector(106, "sparse", DataType::SparseFloatVector),
            FieldSchema {
                element_type: Some(DataType::FloatVector),
                ..field(108, "clips[v]", DataType::ArrayOfVector)
            },
            FieldSchema {
                element_type: Some(DataType::Int64),
                ..field(109, "clips[n]", DataType::Array)
            },
        ],
        struct_fields: vec![StructField {
            id: FieldId(107),
            name: "clips".to_owned(),
            ..StructField::default()
        }],
        ..CollectionSchema::default()
    }
}

/// The vector of row `key`: `key` and zeros; every third row has none.
fn first(key: i64) -> f32 {
    key as f32
}

fn is_null(key: i64) -> bool {
    key % 3 == 2
}

fn numbers(keys: &[i64]) -> Vec<f32> {
    let row = |key: &i64| {
        (0..DIM)
            .map(|n| if n == 0 && !is_null(*key) { first(*key) } else { 0.0 })
            .collect::<Vec<_>>()
    };
    keys.iter().flat_map(row).collect()
}

fn dense(data_type: DataType, keys: &[i64]) -> VectorData {
    VectorData::floats(numbers(keys), DIM).unwrap().converted(data_type).unwrap()
}

fn bytes(vectors: &VectorData) -> Vec<u8> {
    vectors.iter().flat_map(|row| row.bytes().to_vec()).collect()
}

fn batch(schema: &SegmentSchema, keys: &[i64]) -> RecordBatch {
    let nulls = Some(NullBuffer::from_iter(keys.iter().map(|key| !is_null(*key))));
    let size = i32::try_from(DIM).unwrap();
    let list = |element: ArrowType, values: ArrayRef| -> ArrayRef {
        Arc::new(FixedSizeListArray::new(vector_element(element), size, values, nulls.clone()))
    };
    let half = ArrayData::builder(ArrowType::Float16)
        .len(keys.len() * DIM)
        .add_buffer(Buffer::from_vec(bytes(&dense(DataType::Float16Vector, keys))))
        .align_buffers(true)
        .build()
        .unwrap();
    let brain = Buffer::from_vec(bytes(&dense(DataType::BFloat16Vector, keys)));
    let small = keys.iter().flat_map(|key| {
        let first = if is_null(*key) { 0 } else { i8::try_from(*key).unwrap() };
        std::iter::once(first).chain([0; DIM - 1])
    });
    let small = Int8Array::from_iter_values(small);
    let bits = Buffer::from_vec(
        keys.iter()
            .map(|key| if is_null(*key) { 0 } else { u8::try_from(*key).unwrap() })
            .collect::<Vec<u8>>(),
    );
    let pairs = |key: &i64| {
        (!is_null(*key)).then(|| [1_u32.to_le_bytes(), (first(*key) + 1.0).to_le_bytes()].concat())
    };
    let sparse: Vec<Option<Vec<u8>>> = keys.iter().map(pairs).collect();
    // Row `key` has `key % 4` clips, numbered from 0, whose vectors begin with key and number.
    let clips: Vec<(i64, i64)> =
        keys.iter().flat_map(|key| (0..key % 4).map(move |n| (*key, n))).collect();
    let ends =
        || OffsetBuffer::from_lengths(keys.iter().map(|key| usize::try_from(key % 4).unwrap()));
    let vectors = clips.iter().flat_map(|(key, n)| {
        let mut vector = [0.0; DIM];
        (vector[0], vector[1]) = (*key as f32, *n as f32);
        vector
    });
    let vectors = FixedSizeListArray::new(
        vector_element(ArrowType::Float32),
        size,
        Arc::new(Float32Array::from_iter_values(vectors)),
        None,
    );
    let element = arrow_type(&field(1, "v", DataType::FloatVector)).unwrap();
    let of_clips: ArrayRef = Arc::new(Int64Array::from_iter_values(clips.iter().map(|(_, n)| *n)));
    RecordBatch::try_new(
        Arc::clone(schema.arrow()),
        vec![
            Arc::new(Int64Array::from(keys.to_vec())),
            list(ArrowType::Float32, Arc::new(Float32Array::from(numbers(keys)))),
            list(ArrowType::Float16, make_array(half)),
            Arc::new(FixedSizeBinaryArray::new(2 * size, brain, nulls.clone())),
            list(ArrowType::Int8, Arc::new(small)),
            Arc::new(FixedSizeBinaryArray::new(1, bits, nulls.clone())),
            Arc::new(BinaryArray::from_iter(sparse)),
            Arc::new(ListArray::new(vector_element(element), ends(), Arc::new(vectors), None)),
            Arc::new(ListArray::new(vector_element(ArrowType::Int64), ends(), of_clips, None)),
        ],
    )
    .unwrap()
}

fn segments() -> (GrowingSegment, SealedSegment) {
    let schema = Arc::new(SegmentSchema::new(&schema()).unwrap());
    let growing = GrowingSegment::new(ID, PARTITION, Arc::clone(&schema));
    let keys: Vec<i64> = (0..50).collect();
    for (part, ts) in keys.chunks(7).zip(1..) {
        growing.insert(Timestamp(ts), batch(&schema, part)).unwrap();
    }
    let mut bytes = Vec::new();
    let (file_schema, chunks) = growing.chunks().unwrap();
    let info = write_segment(&mut bytes, &file_schema, &chunks).unwrap();
    let sealed = SealedSegment::open(SealedParts {
        id: ID,
        partition_id: PARTITION,
        schema,
        file: open_segment(&Buffer::from(bytes), &info.at("columns.arrow")).unwrap(),
        deletes: Vec::new(),
        indexes: Vec::new(),
        scalar_indexes: Vec::new(),
        key_index: None,
        stats: info.stats,
    })
    .unwrap();
    (growing, sealed)
}

fn filter(text: &str) -> Plan {
    plan(text, &schema(), &Templates::default()).unwrap()
}

fn spec(field: &str, metric: MetricType, data: VectorData, k: usize) -> SearchSpec {
    let queries = Arc::new(Queries::new(data));
    SearchSpec::new(field, metric, queries, k, filter(""), Timestamp(100))
}

/// (row, element, score) of the hits of the first query.
fn found(segment: &dyn Segment, spec: &SearchSpec) -> Vec<(u32, Option<u32>, f32)> {
    let hits = segment.search(spec).unwrap().remove(0);
    hits.iter().map(|hit| (hit.row, hit.element, hit.score)).collect()
}

#[test]
fn every_kind_is_searched_without_its_null_rows() {
    let (growing, sealed) = segments();
    let query = |data_type| dense(data_type, &[10]);
    let bits = VectorData::dense(DataType::BinaryVector, DIM, Arc::new(vec![10_u8])).unwrap();
    let pair = [1_u32.to_le_bytes(), 1_f32.to_le_bytes()].concat();
    let sparse = VectorData::Sparse(SparseRows::from_rows([&*pair]).unwrap());
    let near = [(10, None, 0.0), (9, None, 1.0), (12, None, 4.0), (7, None, 9.0), (13, None, 9.0)];
    for segment in [&growing as &dyn Segment, &sealed] {
        for (name, data_type) in [
            ("float", DataType::FloatVector),
            ("half", DataType::Float16Vector),
            ("brain", DataType::BFloat16Vector),
        ] {
            let spec = spec(name, MetricType::L2, query(data_type), 5);
            assert_eq!(found(segment, &spec), near, "{name}");
        }
        let byte = VectorData::dense(
            DataType::Int8Vector,
            DIM,
            Arc::new(vec![10_u8, 0, 0, 0, 0, 0, 0, 0]),
        );
        assert_eq!(found(segment, &spec("byte", MetricType::L2, byte.unwrap(), 5)), near);
        // 10 is 0b1010: 42 and 27 differ in one bit, and 24, which is 0b11000, in two.
        let hamming = found(segment, &spec("bit", MetricType::Hamming, bits.clone(), 50));
        assert_eq!(hamming[0], (10, None, 0.0));
        let want = (0..50_u32).filter(|key| key % 3 != 2);
        let mut want: Vec<f32> = want.map(|key| (key ^ 10).count_ones() as f32).collect();
        want.sort_by(f32::total_cmp);
        assert_eq!(hamming.iter().map(|(_, _, score)| *score).collect::<Vec<_>>(), want);
        let best = found(segment, &spec("sparse", MetricType::Ip, sparse.clone(), 3));
        assert_eq!(best, [(49, None, 50.0), (48, None, 49.0), (46, None, 47.0)]);
    }
}

#[test]
fn elements_of_lists_are_hits_of_their_own() {
    let (growing, sealed) = segments();
    let mut near = [0.0; DIM];
    (near[0], near[1]) = (11.0, 1.0);
    let query = VectorData::floats(near.to_vec(), DIM).unwrap();
    for segment in [&growing as &dyn Segment, &sealed] {
        let all = spec("clips[v]", MetricType::L2, query.clone(), 4);
        let want = [(11, Some(1), 0.0), (10, Some(1), 1.0), (11, Some(0), 1.0), (11, Some(2), 1.0)];
        assert_eq!(found(segment, &all), want);
        let some = filter("element_filter(clips, $[n] == 2)");
        let some = SearchSpec { filter: some, ..all.clone() };
        let want = [(11, Some(2), 1.0), (7, Some(2), 17.0), (15, Some(2), 17.0)];
        assert_eq!(found(segment, &some)[..3], want);

        // Lists against a list: the sum of each query vector's best.
        let two = VectorData::floats([near, near].concat(), DIM).unwrap();
        let queries = Arc::new(Queries { data: two, lists: Some(vec![0, 2]) });
        let lists = SearchSpec { queries, metric: MetricType::MaxSimL2, ..all };
        let best = found(segment, &lists);
        assert_eq!(best[..2], [(11, None, 0.0), (10, None, 2.0)]);
    }
}

#[test]
fn columns_of_every_kind_are_fetched_as_they_were() {
    let (growing, sealed) = segments();
    let schema = schema();
    let names: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
    let wanted = [49, 2, 2, 0, 31, 8, 17];
    let keys: Vec<i64> = wanted.iter().map(|row| i64::from(*row)).collect();
    let want = batch(&SegmentSchema::new(&schema).unwrap(), &keys);
    for segment in [&growing as &dyn Segment, &sealed] {
        let got = segment.fetch(&wanted, &names).unwrap();
        assert_eq!(got.column(0).as_primitive::<Int64Type>().values(), &keys[..]);
        for (got, want) in got.columns().iter().zip(want.columns()) {
            assert_eq!(got.data_type(), want.data_type());
            assert_eq!(&got.to_data(), &want.to_data());
        }
    }
}
