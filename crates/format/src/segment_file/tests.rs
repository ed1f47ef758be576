//! Segment files: the golden file, views without copies, damaged bytes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, Float32Array, Int64Array,
    StringArray,
};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType as ArrowType, Field, Float32Type, Schema, UInt64Type};
use milvus_types::columns::{FIELD_ID, vector_element};
use milvus_types::{FieldId, ValueRange};
use proptest::prelude::*;

use super::*;
use crate::error::{DecodeError, EncodeError};
use crate::verify;

const DIM: i32 = 4;

fn schema() -> SchemaRef {
    let id = |field: Field, id: u32| {
        field.with_metadata(HashMap::from([(FIELD_ID.to_owned(), id.to_string())]))
    };
    Arc::new(Schema::new(vec![
        id(Field::new("pk", ArrowType::Int64, false), 100),
        id(Field::new("flag", ArrowType::Boolean, true), 101),
        id(Field::new("title", ArrowType::Utf8, true), 102),
        id(
            Field::new(
                "vec",
                ArrowType::FixedSizeList(vector_element(ArrowType::Float32), DIM),
                false,
            ),
            103,
        ),
    ]))
}

fn batch(first: i64, rows: usize) -> RecordBatch {
    let pk: Vec<i64> = (first..).take(rows).collect();
    let flag: BooleanArray = pk.iter().map(|k| (k % 3 != 0).then_some(k % 2 == 0)).collect();
    let title: StringArray = pk.iter().map(|k| (k % 5 != 1).then(|| format!("täg{k}"))).collect();
    let values: Vec<f32> = pk.iter().flat_map(|k| [*k as f32, 0.5, -1.0, 2.0]).collect();
    let vec = FixedSizeListArray::new(
        vector_element(ArrowType::Float32),
        DIM,
        Arc::new(Float32Array::from(values)),
        None,
    );
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(pk)), Arc::new(flag), Arc::new(title), Arc::new(vec)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn chunk(rows: RecordBatch, first_ts: u64) -> RowChunk {
    let timestamps = (first_ts..).take(rows.num_rows()).collect::<Vec<_>>().into();
    RowChunk { rows, timestamps }
}

fn write(chunks: &[RowChunk]) -> (Buffer, SegmentFileInfo) {
    let mut bytes = Vec::new();
    let info = write_segment(&mut bytes, &schema(), chunks).unwrap();
    (Buffer::from_vec(bytes), info)
}

/// The same bytes, aligned as a mapped file is.
fn mapped(bytes: &[u8]) -> Buffer {
    let mut aligned = arrow::buffer::MutableBuffer::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    aligned.into()
}

fn sample() -> Vec<RowChunk> {
    // A sliced chunk, an empty one, and one without nulls.
    vec![
        chunk(batch(0, 20).slice(3, 10), 500),
        chunk(batch(0, 0), 0),
        chunk(batch(100, 7), 40),
        chunk(batch(2, 1), 700),
    ]
}

fn expected() -> RecordBatch {
    let chunks: Vec<_> = sample().into_iter().map(|chunk| chunk.rows).collect();
    concat_batches(&schema(), &chunks).unwrap()
}

#[test]
fn chunks_come_back_as_one_batch_in_place() {
    let (bytes, info) = write(&sample());
    let bytes = mapped(&bytes);
    assert_eq!((info.rows, info.min_ts, info.max_ts), (18, Timestamp(40), Timestamp(700)));
    let meta = info.at("segments/1/2/3/columns.arrow");
    verify(&bytes, &meta).unwrap();
    let file = open_segment(&bytes, &meta).unwrap();
    assert_eq!(file.rows, expected());
    assert_eq!(file.schema, schema());
    assert_eq!(file.timestamps.value(0), 500);
    assert_eq!(file.timestamps.value(17), 700);

    let vectors = file.rows.column(3).as_fixed_size_list();
    let values = vectors.values().as_primitive::<Float32Type>().values();
    let address = values.inner().as_ptr() as usize;
    let map = bytes.as_ptr() as usize;
    assert!((map..map + bytes.len()).contains(&address), "vectors are a view of the file");
    assert_eq!(address % 64, 0, "vectors begin at a multiple of 64 bytes");
}

#[test]
fn arrows_own_reader_reads_it() {
    let (bytes, _) = write(&sample());
    let reader =
        arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes.to_vec()), None)
            .unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.len(), 1);
    let timestamps = batches[0].column_by_name("$timestamp").unwrap();
    assert_eq!(timestamps.as_primitive::<UInt64Type>().value(10), 40);
    assert_eq!(batches[0].project(&[0, 1, 2, 3]).unwrap().columns(), expected().columns());
}

#[test]
fn a_segment_without_rows_is_a_file() {
    let (bytes, info) = write(&[]);
    let file = open_segment(&bytes, &info.at("x")).unwrap();
    assert_eq!((file.rows.num_rows(), file.schema), (0, schema()));
    assert!(info.min_ts > info.max_ts);
}

#[test]
fn golden_v1_reads_as_written() {
    let (bytes, _) = write(&sample());
    let bytes = std::fs::read(crate::golden("columns.arrow", &bytes)).unwrap();
    let meta = crate::WrittenFile::of(&bytes).at("columns.arrow");
    assert_eq!(open_segment(&Buffer::from_vec(bytes), &meta).unwrap().rows, expected());
}

#[test]
fn a_newer_format_says_so() {
    let (bytes, info) = write(&sample());
    let mut bytes = bytes.to_vec();
    let key = bytes.windows(FORMAT_KEY.len()).rposition(|w| w == FORMAT_KEY.as_bytes()).unwrap();
    let value = bytes.windows(5).enumerate().filter(|(_, w)| *w == b"\x01\0\0\x001");
    let value = value.map(|(at, _)| at).min_by_key(|at| at.abs_diff(key)).unwrap() + 4;
    bytes[value] = b'2';
    let error = open_segment(&Buffer::from_vec(bytes), &info.at("x")).unwrap_err();
    assert!(matches!(error, DecodeError::NewerVersion { got: 2, newest: 1, .. }), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let mut short = chunk(batch(0, 3), 0);
    short.timestamps = short.timestamps.slice(0, 2);
    let error = write_segment(&mut Vec::new(), &schema(), &[short]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "segment file cannot be written: a chunk has 3 rows and 2 timestamps"
    );
    let field = Field::new("d", ArrowType::Date32, false);
    let column: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![1]));
    let schema = Arc::new(Schema::new(vec![field]));
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
    let error = write_segment(&mut Vec::new(), &schema, &[chunk(rows, 0)]).unwrap_err();
    assert!(matches!(error, EncodeError::UnsupportedColumn { .. }), "{error}");
}

/// Rows of a batch in pieces of a few, as a compaction gives them.
struct Pieces {
    rows: RecordBatch,
    timestamps: ArrayRef,
    piece: usize,
    /// How many values of a column are given when it is asked for again.
    again: usize,
    asked: std::cell::RefCell<std::collections::HashSet<usize>>,
    has_no_nulls: bool,
}

impl RowSource for Pieces {
    fn rows(&self) -> u64 {
        self.rows.num_rows() as u64
    }

    fn pieces(&self, column: usize, take: TakePiece<'_>) -> Result<(), EncodeError> {
        let values = self.rows.columns().get(column).unwrap_or(&self.timestamps);
        let first = self.asked.borrow_mut().insert(column);
        let rows = if first { values.len() } else { self.again };
        for start in (0..rows).step_by(self.piece) {
            take(&values.slice(start, self.piece.min(rows - start)))?;
        }
        Ok(())
    }

    fn has_no_nulls(&self, _: usize) -> bool {
        self.has_no_nulls
    }
}

fn pieces(rows: RecordBatch, piece: usize) -> Pieces {
    let timestamps: ArrayRef =
        Arc::new(UInt64Array::from_iter_values(7..7 + rows.num_rows() as u64));
    let again = rows.num_rows();
    Pieces { rows, timestamps, piece, again, asked: Default::default(), has_no_nulls: false }
}

#[test]
fn rows_in_pieces_make_the_same_file_as_rows_in_one() {
    let rows = batch(0, 50);
    let (whole, _) = write(&[chunk(rows.clone(), 7)]);
    for piece in [1, 3, 7, 50, 64] {
        let mut bytes = Vec::new();
        write_segment_from(&mut bytes, &schema(), &pieces(rows.clone(), piece)).unwrap();
        assert!(bytes == whole.as_slice(), "pieces of {piece}");
    }
    // Vectors without nulls need no look before they are written.
    let vectors = rows.project(&[0, 3]).unwrap();
    let mut source = pieces(vectors.clone(), 5);
    let mut looked = Vec::new();
    write_segment_from(&mut looked, &vectors.schema(), &source).unwrap();
    source = Pieces { has_no_nulls: true, ..pieces(vectors.clone(), 5) };
    let mut known = Vec::new();
    write_segment_from(&mut known, &vectors.schema(), &source).unwrap();
    assert!(looked == known);
}

#[test]
fn a_source_that_changes_its_rows_is_refused() {
    let mut source = pieces(batch(0, 9), 4);
    source.again = 8;
    let error = write_segment_from(&mut Vec::new(), &schema(), &source).unwrap_err();
    let want = "segment file cannot be written: column 0 gave 64 bytes after it had given 72";
    assert_eq!(error.to_string(), want);
}

#[test]
fn statistics_are_those_of_the_values() {
    let (_, info) = write(&sample());
    let of = |id| info.stats.iter().find(|stats| stats.field_id == FieldId(id)).unwrap();
    assert_eq!(info.stats.len(), 3, "vectors have none");
    assert_eq!((of(100).rows, of(100).nulls), (18, 0));
    assert_eq!(of(100).range, Some(ValueRange::Int { min: 2, max: 106 }));
    let rows = expected();
    assert_eq!(of(101).nulls, rows.column(1).null_count() as u64);
    assert_eq!(of(101).range, Some(ValueRange::Int { min: 0, max: 1 }));
    assert_eq!(of(102).nulls, rows.column(2).null_count() as u64);
    let titles = || rows.column(2).as_string::<i32>().iter().flatten();
    let text = ValueRange::text(titles().min().unwrap(), titles().max().unwrap());
    assert_eq!(of(102).range, Some(text));
}

#[test]
fn numbers_that_are_not_comparable_have_no_range() {
    let field = |name: &str, id: &str, data_type| {
        let metadata = HashMap::from([(FIELD_ID.to_owned(), id.to_owned())]);
        Field::new(name, data_type, true).with_metadata(metadata)
    };
    let schema = Arc::new(Schema::new(vec![
        field("nan", "1", ArrowType::Float32),
        field("finite", "2", ArrowType::Float64),
        field("none", "3", ArrowType::Int8),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float32Array::from(vec![Some(1.0), Some(f32::NAN), None])),
        Arc::new(arrow::array::Float64Array::from(vec![Some(-0.5), None, Some(f64::INFINITY)])),
        Arc::new(arrow::array::Int8Array::from(vec![None, None, None])),
    ];
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let info = write_segment(&mut Vec::new(), &schema, &[chunk(rows, 1)]).unwrap();
    let stats: Vec<_> = info.stats.iter().map(|stats| (stats.nulls, stats.range.clone())).collect();
    let finite = ValueRange::Float { min: -0.5, max: f64::INFINITY };
    assert_eq!(stats, [(1, None), (1, Some(finite)), (3, None)]);
}

#[test]
fn a_changed_byte_fails_verification() {
    let (bytes, info) = write(&sample());
    let mut bytes = bytes.to_vec();
    bytes[1000] ^= 1;
    let error = verify(&bytes, &info.at("x")).unwrap_err();
    assert!(matches!(error, DecodeError::Checksum { .. }));
}

fn touch(file: &SegmentFile) -> usize {
    file.rows.columns().iter().map(|column| format!("{column:?}").len()).sum()
}

#[test]
fn every_truncation_is_refused() {
    let (bytes, _) = write(&sample());
    for len in 0..bytes.len() {
        let cut = bytes.slice_with_length(0, len);
        let meta = crate::WrittenFile::of(&cut).at("x");
        assert!(open_segment(&cut, &meta).is_err(), "cut to {len} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn flipped_bytes_never_panic(flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
        let (bytes, info) = write(&sample());
        let mut bytes = bytes.to_vec();
        let len = bytes.len();
        for (at, byte) in flips {
            bytes[at as usize % len] = byte;
        }
        match open_segment(&Buffer::from_vec(bytes), &info.at("x")) {
            Ok(file) => prop_assert!(touch(&file) > 0),
            Err(error) => prop_assert!(!error.to_string().contains("panicked")),
        }
    }
}

/// A file with every layout of `milvus_types::columns`, nulls in all that may have them.
mod every_layout {
    use arrow::array::{
        Array, BinaryArray, FixedSizeBinaryArray, Float16Array, Int8Array, ListArray,
        TimestampMicrosecondArray,
    };
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use milvus_types::columns::timestamptz_type;

    use super::*;

    fn list(values: ArrayRef, lengths: &[usize], nulls: &[bool]) -> ArrayRef {
        let element = vector_element(values.data_type().clone());
        let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
        let nulls = Some(NullBuffer::from(nulls.to_vec()));
        Arc::new(ListArray::new(element, offsets, values, nulls))
    }

    fn vectors(values: ArrayRef, dim: i32, nulls: Option<NullBuffer>) -> FixedSizeListArray {
        FixedSizeListArray::new(vector_element(values.data_type().clone()), dim, values, nulls)
    }

    /// Four rows; `salt` makes batches differ.
    fn batch(salt: i64) -> RecordBatch {
        let nulls = [true, false, true, true];
        let present = || Some(NullBuffer::from(nulls.to_vec()));
        let small = i8::try_from(salt).unwrap();
        let numbers = Arc::new((salt..salt + 5).collect::<Int64Array>());
        let words = Arc::new(StringArray::from(vec!["a", "", "täg", "b"]));
        let halves: Float16Array =
            (0..8).map(|i| Some(half::f16::from_f32(f32::from(small) + i as f32))).collect();
        let floats = Float32Array::from((0..6).map(|i| (salt + i) as f32).collect::<Vec<_>>());
        let within = vectors(Arc::new(floats), 2, None);
        let instants = [Some(salt), None, Some(-1), Some(i64::MAX)];
        let rows: Vec<[u8; 6]> = (0..4).map(|i| [small.cast_unsigned(), i, 2, 3, 4, 5]).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("numbers", list(numbers, &[2, 0, 0, 3], &nulls)),
            ("words", list(words, &[1, 0, 3, 0], &nulls)),
            (
                "flags",
                list(Arc::new(BooleanArray::from(vec![true, false, true])), &[0, 0, 2, 1], &nulls),
            ),
            ("halves", Arc::new(vectors(Arc::new(halves), 2, present()))),
            ("bytes", Arc::new(vectors(Arc::new(Int8Array::from(vec![small; 12])), 3, present()))),
            (
                "bits",
                Arc::new(
                    FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                        rows.iter().zip(nulls).map(|(row, some)| some.then_some(row)),
                        6,
                    )
                    .unwrap(),
                ),
            ),
            (
                "sparse",
                Arc::new(BinaryArray::from(vec![Some(&b"12345678"[..]), None, Some(b""), None])),
            ),
            (
                "when",
                Arc::new(TimestampMicrosecondArray::from(instants.to_vec()).with_timezone("UTC")),
            ),
            ("lists", list(Arc::new(within), &[1, 0, 0, 2], &nulls)),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        assert_eq!(batch.column(7).data_type(), &timestamptz_type());
        batch
    }

    fn sample() -> (Buffer, SegmentFileInfo, RecordBatch) {
        let chunks = [batch(1).slice(1, 3), batch(5), batch(9).slice(0, 1), batch(2).slice(0, 0)];
        let schema = chunks[0].schema();
        let expected = concat_batches(&schema, &chunks).unwrap();
        let chunks: Vec<_> = chunks.into_iter().map(|rows| chunk(rows, 1)).collect();
        let mut bytes = Vec::new();
        let info = write_segment(&mut bytes, &schema, &chunks).unwrap();
        (mapped(&bytes), info, expected)
    }

    #[test]
    fn reads_back_in_place_and_golden() {
        let (bytes, info, expected) = sample();
        let file = open_segment(&bytes, &info.at("x")).unwrap();
        assert_eq!(file.rows.columns(), expected.columns());
        let golden = std::fs::read(crate::golden("columns_every_layout.arrow", &bytes)).unwrap();
        let meta = crate::WrittenFile::of(&golden).at("x");
        assert_eq!(
            open_segment(&mapped(&golden), &meta).unwrap().rows.columns(),
            expected.columns()
        );
        let reader =
            arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes.to_vec()), None);
        let own: Vec<_> = reader.unwrap().map(Result::unwrap).collect();
        assert_eq!(&own[0].columns()[..9], expected.columns());
    }

    #[test]
    fn every_truncation_is_refused() {
        let (bytes, _, _) = sample();
        for len in 0..bytes.len() {
            let cut = bytes.slice_with_length(0, len);
            let meta = crate::WrittenFile::of(&cut).at("x");
            assert!(open_segment(&cut, &meta).is_err(), "cut to {len} bytes");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn flipped_bytes_never_panic(flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
            let (bytes, info, _) = sample();
            let mut bytes = bytes.to_vec();
            let len = bytes.len();
            for (at, byte) in flips {
                bytes[at as usize % len] = byte;
            }
            match open_segment(&mapped(&bytes), &info.at("x")) {
                Ok(file) => prop_assert!(touch(&file) > 0),
                Err(error) => prop_assert!(!error.to_string().contains("panicked")),
            }
        }
    }
}
