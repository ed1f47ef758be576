//! Codes of growing rows change no answer: whatever the kind of vectors and the search, a growing
//! segment answers as the sealed one made of it, which has no codes, to the bit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{
    ArrayData, ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, make_array,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::DataType as ArrowType;
use milvus_expr::{Templates, plan};
use milvus_index::{VectorData, exact_search};
use milvus_kernel::Bitset;
use milvus_segment::{
    GroupBy, GroupField, GrowingSegment, Queries, RangeBounds, SearchSpec, Segment, SegmentSchema,
    code_bytes,
};
use milvus_types::columns::{arrow_type, vector_element};
use milvus_types::{
    CollectionSchema, DataType, FieldId, FieldSchema, KeyValue, MetricType, Timestamp,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::model::{ID, PARTITION, sealed};

const DIM: usize = 160;
const METRICS: [MetricType; 3] = [MetricType::L2, MetricType::Ip, MetricType::Cosine];
const KINDS: [(&str, DataType); 3] = [
    ("float", DataType::FloatVector),
    ("half", DataType::Float16Vector),
    ("brain", DataType::BFloat16Vector),
];

fn schema() -> CollectionSchema {
    let field = |id, name: &str, data_type| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        type_params: vec![KeyValue::new("dim", DIM.to_string())],
        ..FieldSchema::default()
    };
    let vectors = (102..).zip(KINDS).map(|(id, (name, data_type))| FieldSchema {
        nullable: true,
        ..field(id, name, data_type)
    });
    let scalars = [
        FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) },
        field(101, "n", DataType::Int64),
    ];
    CollectionSchema { fields: scalars.into_iter().chain(vectors).collect(), ..Default::default() }
}

/// Every 17th row has no vector.
fn is_null(key: usize) -> bool {
    key % 17 == 5
}

fn column(vectors: &VectorData, nulls: &NullBuffer) -> ArrayRef {
    let field = schema().fields.into_iter().find(|field| field.data_type == vectors.data_type());
    let field = field.unwrap();
    if let VectorData::Float(floats) = vectors {
        let values = Arc::new(Float32Array::from(floats.as_slice().to_vec()));
        let element = vector_element(ArrowType::Float32);
        let size = i32::try_from(DIM).unwrap();
        return Arc::new(FixedSizeListArray::new(element, size, values, Some(nulls.clone())));
    }
    let bytes: Vec<u8> = vectors.iter().flat_map(|row| row.bytes().to_vec()).collect();
    let arrow = arrow_type(&field).unwrap();
    let data = ArrayData::builder(arrow.clone())
        .len(vectors.rows())
        .nulls(Some(nulls.inner().clone().into()));
    let bytes = Buffer::from_vec(bytes);
    let data = match arrow {
        ArrowType::FixedSizeList(element, _) => data.add_child_data(
            ArrayData::builder(element.data_type().clone())
                .len(vectors.rows() * DIM)
                .add_buffer(bytes)
                .align_buffers(true)
                .build()
                .unwrap(),
        ),
        _ => data.add_buffer(bytes),
    };
    make_array(data.build().unwrap())
}

fn batch(segment: &GrowingSegment, first: usize, vectors: &VectorData) -> RecordBatch {
    let keys = first..first + vectors.rows();
    let number = |key: usize| i64::try_from(key).unwrap();
    let nulls = NullBuffer::from_iter(keys.clone().map(|key| !is_null(key)));
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(keys.clone().map(number).collect::<Int64Array>()),
        Arc::new(keys.map(|key| number(key * 7 % 100)).collect::<Int64Array>()),
    ];
    for (_, kind) in KINDS {
        columns.push(column(&vectors.converted(kind).unwrap(), &nulls));
    }
    RecordBatch::try_new(Arc::clone(segment.schema().arrow()), columns).unwrap()
}

/// Inserts `rows` some at a time, each batch at the number of its first row and one.
fn fill(segment: &GrowingSegment, rows: &VectorData, batch_rows: usize) {
    for first in (0..rows.rows()).step_by(batch_rows) {
        let len = batch_rows.min(rows.rows() - first);
        let part: Vec<u32> = (0..len).map(|n| u32::try_from(first + n).unwrap()).collect();
        let rows = batch(segment, first, &rows.take(&part));
        segment.insert(Timestamp(1 + first as u64), rows).unwrap();
    }
}

fn empty() -> GrowingSegment {
    GrowingSegment::new(ID, PARTITION, Arc::new(SegmentSchema::new(&schema()).unwrap()))
}

/// Rows of different kinds of data: spread out, far from the origin, in tight groups, few distinct.
fn data(case: usize, rows: usize) -> VectorData {
    let mut random = StdRng::seed_from_u64(case as u64);
    let mut number = move || random.random_range(-1.0..1.0_f32);
    let mut values: Vec<f32> = (0..rows * DIM).map(|_| number()).collect();
    for (n, value) in values.iter_mut().enumerate() {
        let (row, column) = (n / DIM, n % DIM);
        let group = ((row % 20 * 31 + column * 7) % 13) as f32;
        *value = match case {
            0 => *value,
            1 => 40.0 + *value,
            2 => group + *value * 1e-3,
            _ => group,
        };
    }
    values[..DIM].fill(0.0);
    VectorData::floats(values, DIM).unwrap()
}

fn specs(queries: &VectorData, field: &str, metric: MetricType) -> Vec<SearchSpec> {
    let all = plan("", &schema(), &Templates::default()).unwrap();
    let queries = Arc::new(Queries::new(queries.clone()));
    let plain =
        |k| SearchSpec::new(field, metric, Arc::clone(&queries), k, all.clone(), Timestamp::MAX);
    let filtered = |text: &str| SearchSpec {
        filter: plan(text, &schema(), &Templates::default()).unwrap(),
        ..plain(7)
    };
    let range = |radius, range_filter| SearchSpec {
        range: Some(RangeBounds { radius, range_filter }),
        ..plain(20)
    };
    let field = GroupField {
        column: "n".to_owned(),
        path: Vec::new(),
        json_type: None,
        strict_cast: false,
    };
    let by = GroupBy { fields: vec![field], size: 2, strict: false, only: None };
    let ranges = match metric {
        MetricType::L2 => [range(60.0, None), range(9000.0, Some(30.0))],
        MetricType::Ip => [range(5.0, None), range(-1e9, Some(6.0))],
        _ => [range(0.1, None), range(-0.5, Some(0.2))],
    };
    vec![
        plain(1),
        plain(10),
        plain(500),
        filtered("n < 50"),
        filtered("n < 2"),
        filtered("id in [1, 5, 900, 901, 1700]"),
        SearchSpec { mvcc: Timestamp(1501), ..plain(10) },
        SearchSpec { iterator: true, ..plain(5) },
        SearchSpec { group_by: Some(by), ..plain(6) },
    ]
    .into_iter()
    .chain(ranges)
    .collect()
}

#[test]
fn no_answer_depends_on_codes() {
    for case in 0..4 {
        let rows = data(case, 2300);
        let segment = empty();
        fill(&segment, &rows, 300);
        segment.delete(&(100..400).map(|row| (row * 3, Timestamp(3000))).collect::<Vec<_>>());
        let plain = sealed(&segment, false);
        assert!(segment.memory_bytes() > segment.bytes() + 2048 * 3 * DIM as u64);
        // Rows themselves, one of them of zeros, and a vector that is none.
        let queries = [rows.take(&[0, 3, 1999]), data(case + 7, 2).take(&[1])];
        for queries in queries {
            for metric in METRICS {
                for (field, _) in KINDS {
                    for (n, spec) in specs(&queries, field, metric).iter().enumerate() {
                        let got = segment.search(spec).unwrap();
                        let want = plain.search(spec).unwrap();
                        assert_eq!(got, want, "case {case} {metric} {field} search {n}");
                    }
                }
            }
        }
    }
}

#[test]
fn searches_beside_inserts_answer_for_their_snapshot() {
    let rows = data(0, 4000);
    let segment = Arc::new(empty());
    let done = Arc::new(AtomicBool::new(false));
    let spec = specs(&rows.take(&[77]), "float", MetricType::L2).swap_remove(1);
    let live: Vec<bool> = (0..rows.rows()).map(|key| !is_null(key)).collect();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut snapshots = 0;
            while !done.load(Ordering::Acquire) || snapshots == 0 {
                let Some(mvcc) = segment.max_ts() else { continue };
                let found = segment.search(&SearchSpec { mvcc, ..spec.clone() }).unwrap();
                // A batch of 130 rows came at the number of its first row and one.
                let seen = (usize::try_from(mvcc.0).unwrap() - 1 + 130).min(rows.rows());
                let live = Bitset::from_bools(live[..seen].iter().copied());
                let want = exact_search(MetricType::L2, &spec.queries.data, &rows, Some(&live), 10);
                let got: Vec<_> = found[0].iter().map(|hit| (hit.row, hit.score)).collect();
                let want: Vec<_> =
                    want.unwrap()[0].iter().map(|hit| (hit.row, hit.score)).collect();
                assert_eq!(got, want, "at {mvcc}");
                snapshots += 1;
            }
        });
        fill(&segment, &rows, 130);
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
}

#[test]
fn what_is_held_is_no_more_than_what_is_foretold() {
    let segment = empty();
    let rows = data(0, 3000);
    fill(&segment, &rows, 700);
    let held = segment.memory_bytes() - segment.bytes();
    let foretold = code_bytes(segment.schema().fields(), rows.rows());
    // The last rows are too few to be coded; each chunk has the means of three columns, and there
    // is a timestamp for each insert.
    let means = 5 * 3 * DIM as u64 * 4;
    assert!(held <= foretold + means + 1024, "{held} held, {foretold} foretold");
    assert!(held >= foretold * 2 / 3, "{held} held, {foretold} foretold");
    assert!(foretold > 3000 * 3 * DIM as u64);
    assert_eq!(code_bytes(&schema().fields[..2], 1000), 0, "scalars have no codes");
}
