//! Columns go in and come out as they were.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType as ArrowType;
use bytes::Bytes;
use proptest::prelude::*;

use milvus_proto::{FloatArray, Message as _, schema as pb};
use milvus_proxy::api::{InputColumn, InputValues, OutputColumn, TimeFormat};
use milvus_types::columns::{arrow_type, vector_element};
use milvus_types::{DataType, FieldId, FieldSchema, KeyValue};
use milvus_values::{geometry, sparse};

use super::{input, output};

fn field(data_type: DataType, nullable: bool) -> FieldSchema {
    FieldSchema { id: FieldId(101), name: "f".into(), data_type, nullable, ..Default::default() }
}

fn column(data_type: DataType, nullable: bool, values: impl Array + 'static) -> OutputColumn {
    OutputColumn { field: field(data_type, nullable), values: Arc::new(values) }
}

/// What a client reads, after the bytes went over the wire.
fn sent(column: &OutputColumn) -> pb::FieldData {
    let field = output::to_wire(std::slice::from_ref(column)).unwrap().remove(0);
    pb::FieldData::decode(Bytes::from(field.encode_to_vec())).unwrap()
}

fn received(field: pb::FieldData) -> InputColumn {
    input::from_wire(vec![field]).unwrap().remove(0)
}

fn scalars(column: &InputColumn) -> &ArrayRef {
    let InputValues::Scalars(values) = &column.values else { panic!("{column:?}") };
    values
}

/// Every scalar type without nulls comes back as it was sent.
fn assert_scalar_round_trip(data_type: DataType, values: impl Array + 'static) {
    let column = column(data_type, false, values);
    let back = received(sent(&column));
    assert_eq!((back.name.as_str(), back.data_type), ("f", Some(data_type)));
    assert!(back.valid.is_empty());
    let same = cast(scalars(&back), column.values.data_type()).unwrap();
    assert_eq!(&same, &column.values);
}

#[test]
fn scalars_without_nulls_come_back() {
    assert_scalar_round_trip(DataType::Bool, BooleanArray::from(vec![true, false]));
    assert_scalar_round_trip(DataType::Int8, Int8Array::from(vec![-128, 127]));
    assert_scalar_round_trip(DataType::Int16, Int16Array::from(vec![-32768, 32767]));
    assert_scalar_round_trip(DataType::Int32, Int32Array::from(vec![i32::MIN, i32::MAX]));
    assert_scalar_round_trip(DataType::Int64, Int64Array::from(vec![i64::MIN, i64::MAX]));
    assert_scalar_round_trip(DataType::Float, Float32Array::from(vec![0.5, -1.0]));
    assert_scalar_round_trip(DataType::Double, Float64Array::from(vec![0.1, -1e300]));
    assert_scalar_round_trip(DataType::VarChar, StringArray::from(vec!["", "grüß"]));
    assert_scalar_round_trip(DataType::Text, StringArray::from(vec!["", "long"]));
    assert_scalar_round_trip(DataType::JSON, StringArray::from(vec!["{}", "{\"a\": [1]}"]));
}

#[test]
fn empty_columns_stay_empty() {
    assert_scalar_round_trip(DataType::Int64, Int64Array::from(Vec::<i64>::new()));
    assert_scalar_round_trip(DataType::Float, Float32Array::from(Vec::<f32>::new()));
    assert_scalar_round_trip(DataType::VarChar, StringArray::from(Vec::<&str>::new()));
    assert_scalar_round_trip(DataType::JSON, StringArray::from(Vec::<&str>::new()));
    let none = Arc::new(Float32Array::from(Vec::<f32>::new()));
    let vectors = FixedSizeListArray::new(vector_element(ArrowType::Float32), 4, none, None);
    let field = sent(&column(DataType::FloatVector, false, vectors));
    let Some(pb::field_data::Field::Vectors(vectors)) = field.field else { panic!() };
    assert_eq!(vectors.dim, 4);
}

#[test]
fn null_scalars_keep_their_place_in_a_reply() {
    let field = sent(&column(DataType::Float, true, Float32Array::from(vec![Some(1.5), None])));
    assert_eq!(field.valid_data, [true, false]);
    let back = received(field);
    let expected: ArrayRef = Arc::new(Float32Array::from(vec![1.5, 0.0]));
    assert_eq!((scalars(&back), back.valid.as_slice()), (&expected, &[true, false][..]));

    let texts = StringArray::from(vec![Some("a"), None, Some("c")]);
    let sliced = sent(&column(DataType::JSON, true, texts.slice(1, 2)));
    let expected: ArrayRef = Arc::new(StringArray::from(vec!["", "c"]));
    assert_eq!(scalars(&received(sliced)), &expected);

    // A nullable field always says which rows are there, even if all are.
    let full = sent(&column(DataType::Int64, true, Int64Array::from(vec![1, 2])));
    assert_eq!(full.valid_data, [true, true]);
}

#[test]
fn shapes_and_times_are_texts() {
    let wkb = geometry::from_wkt("POINT (1 2)").unwrap();
    let shapes = BinaryArray::from(vec![Some(&wkb[..]), None]);
    let back = received(sent(&column(DataType::Geometry, true, shapes)));
    let expected: ArrayRef = Arc::new(StringArray::from(vec!["POINT (1 2)", ""]));
    assert_eq!(scalars(&back), &expected);

    let times = TimestampMicrosecondArray::from(vec![Some(0), None]).with_timezone("UTC");
    let times = column(DataType::Timestamptz, true, times);
    let field = sent(&times);
    assert_eq!((field.r#type, &field.valid_data[..]), (26, &[true, false][..]));
    let back = received(field);
    assert_eq!(scalars(&back).as_string::<i32>().value(0), "1970-01-01T00:00:00Z");

    let format = TimeFormat { zone: "Asia/Tokyo".into(), fields: vec!["hour".into()] };
    let parts = output::to_wire_in(&[times], &format).unwrap().remove(0);
    assert_eq!((parts.r#type, parts.valid_data.len()), (22, 2));
    let InputValues::Arrays(parts) = received(parts).values else { panic!("arrays") };
    assert_eq!(parts.lists.as_list::<i32>().value(0).as_ref(), &Int64Array::from(vec![9]));
}

#[test]
fn structs_come_back_as_one_field_behind_the_others() {
    let numbers = ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>(vec![
        Some(vec![Some(1), Some(2)]),
        Some(vec![]),
    ]);
    let sub = |name: &str, data_type, element, values: ArrayRef| OutputColumn {
        field: FieldSchema {
            name: format!("s[{name}]"),
            element_type: Some(element),
            ..field(data_type, false)
        },
        values,
    };
    let floats = Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0, 4.0]));
    let vectors = FixedSizeListArray::new(vector_element(ArrowType::Float32), 2, floats, None);
    let lists = ListArray::new(
        vector_element(vectors.data_type().clone()),
        OffsetBuffer::from_lengths([2, 0]),
        Arc::new(vectors),
        None,
    );
    let columns = [
        sub("a", DataType::Array, DataType::Int64, Arc::new(numbers)),
        column(DataType::Int64, false, Int64Array::from(vec![1, 2])),
        sub("v", DataType::ArrayOfVector, DataType::FloatVector, Arc::new(lists)),
    ];
    let fields = output::to_wire(&columns).unwrap();
    let names: Vec<&str> = fields.iter().map(|field| field.field_name.as_str()).collect();
    assert_eq!(names, ["f", "s"]);
    assert_eq!(fields[1].r#type, 200);
    let back = received(fields[1].clone());
    let InputValues::Structs(parts) = back.values else { panic!("structs") };
    let [a, v] = &parts[..] else { panic!("two") };
    assert_eq!((a.name.as_str(), v.name.as_str()), ("a", "v"));
    let InputValues::VectorLists(lists) = &v.values else { panic!("lists") };
    assert_eq!((lists.kind, lists.dim), (Some(DataType::FloatVector), 2));
    assert_eq!((&lists.lengths[..], lists.bytes.len(), lists.odd), (&[16, 0][..], 16, false));
}

#[test]
fn rows_of_different_kinds_are_told_apart() {
    let long = |data: Vec<i64>| pb::scalar_field::Data::LongData(pb::LongArray { data });
    let row = |data| pb::ScalarField { data, valid_data: vec![] };
    let arrays = |rows: Vec<pb::ScalarField>| {
        let array = pb::ArrayArray { data: rows, element_type: 0 };
        let data = Some(pb::scalar_field::Data::ArrayData(array));
        let scalars = pb::ScalarField { data, valid_data: vec![] };
        let field = Some(pb::field_data::Field::Scalars(scalars));
        pb::FieldData { r#type: 22, field_name: "a".into(), field, ..Default::default() }
    };
    let text = pb::scalar_field::Data::StringData(pb::StringArray { data: vec!["x".into()] });
    for (rows, odd) in [
        (vec![row(Some(long(vec![1]))), row(Some(text))], Some("*schemapb.ScalarField_StringData")),
        (vec![row(Some(long(vec![1]))), row(None)], Some("nil")),
        (vec![row(Some(long(vec![1])))], None),
    ] {
        let InputValues::Arrays(arrays) = received(arrays(rows)).values else { panic!("arrays") };
        assert_eq!((arrays.lists.len(), arrays.odd.as_deref()), (1, odd));
    }
    let nulls = pb::ScalarField { valid_data: vec![true, false], ..row(Some(long(vec![1]))) };
    let error = input::from_wire(vec![arrays(vec![nulls])]).unwrap_err();
    assert!(error.reason.starts_with("null elements of field a"), "{error}");
}

#[test]
fn the_inner_validity_is_preferred_and_the_outer_one_understood() {
    let long = pb::LongArray { data: vec![7] };
    let field = |inner: Vec<bool>, outer: Vec<bool>| pb::FieldData {
        r#type: 5,
        field_name: "f".into(),
        valid_data: outer,
        field: Some(pb::field_data::Field::Scalars(pb::ScalarField {
            data: Some(pb::scalar_field::Data::LongData(long.clone())),
            valid_data: inner,
        })),
        ..Default::default()
    };
    assert_eq!(received(field(vec![true, false], vec![])).valid, [true, false]);
    assert_eq!(received(field(vec![], vec![false, true])).valid, [false, true]);
    assert_eq!(received(field(vec![false], vec![true])).valid, [false]);
}

#[test]
fn what_is_not_served_is_named_and_what_is_broken_refused() {
    let scalars = |data| pb::FieldData {
        field_name: "doc".into(),
        field: Some(pb::field_data::Field::Scalars(pb::ScalarField {
            data: Some(data),
            valid_data: vec![],
        })),
        ..Default::default()
    };
    let mol = pb::MolSmilesArray { data: vec!["C".into(); 3] };
    let column = received(scalars(pb::scalar_field::Data::MolSmilesData(mol)));
    let InputValues::Unsupported { kind, rows } = column.values else { panic!("{column:?}") };
    assert_eq!((kind.as_str(), rows), ("Mol", 3));

    let json = pb::JsonArray { data: vec![Bytes::from_static(b"{}"), Bytes::from_static(b"\xff")] };
    let broken = scalars(pb::scalar_field::Data::JsonData(json));
    let error = input::from_wire(vec![broken]).unwrap_err();
    assert!(error.reason.contains("doc") && error.reason.contains("row 1"), "{error}");

    let nothing = pb::FieldData { r#type: 999, ..Default::default() };
    let nothing = received(nothing);
    assert!(matches!(nothing.values, InputValues::Missing) && nothing.data_type.is_none());
}

/// A vector field of each kind, and what one of its vectors takes.
const DENSE: [(DataType, usize); 5] = [
    (DataType::FloatVector, 32),
    (DataType::Float16Vector, 16),
    (DataType::BFloat16Vector, 16),
    (DataType::Int8Vector, 8),
    (DataType::BinaryVector, 1),
];

fn vector_field(data_type: DataType, dim: usize) -> FieldSchema {
    let type_params = vec![KeyValue::new("dim", dim.to_string())];
    FieldSchema { type_params, ..field(data_type, true) }
}

/// The column of these vectors: bytes where there is one.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are bytes")]
fn dense_column(field: &FieldSchema, rows: &[Option<Vec<u8>>], width: usize) -> ArrayRef {
    let bytes: Vec<u8> =
        rows.iter().flat_map(|row| row.clone().unwrap_or_else(|| vec![0; width])).collect();
    let data = arrow::array::ArrayData::builder(arrow_type(field).unwrap()).len(rows.len());
    let nulls = NullBuffer::from_iter(rows.iter().map(Option::is_some));
    let data = data.nulls(Some(nulls));
    let values = Buffer::from_slice_ref(&bytes);
    let data = match arrow_type(field).unwrap() {
        ArrowType::FixedSizeList(element, dim) => {
            let length = rows.len() * usize::try_from(dim).unwrap();
            let child = arrow::array::ArrayData::builder(element.data_type().clone());
            data.add_child_data(child.len(length).add_buffer(values).build().unwrap())
        }
        _ => data.add_buffer(values),
    };
    arrow::array::make_array(data.build().unwrap())
}

proptest! {
    #[test]
    fn dense_vectors_of_every_kind_come_back(
        kind in 0..DENSE.len(),
        dims in 1..4_usize,
        rows in proptest::collection::vec(proptest::option::of(any::<[u8; 128]>()), 0..6),
        skip in 0..2_usize,
    ) {
        let (data_type, bits) = DENSE[kind];
        let dim = dims * 8;
        let width = dim * bits / 8;
        let rows: Vec<Option<Vec<u8>>> =
            rows.into_iter().map(|row| row.map(|bytes| bytes[..width].to_vec())).collect();
        let field = vector_field(data_type, dim);
        let skip = skip.min(rows.len());
        let values = dense_column(&field, &rows, width).slice(skip, rows.len() - skip);
        let back = received(sent(&OutputColumn { field, values }));
        let rows = &rows[skip..];
        let valid: Vec<bool> = rows.iter().map(Option::is_some).collect();
        prop_assert_eq!(back.valid, valid);
        let InputValues::Vectors(given) = back.values else {
            return Err(TestCaseError::fail("not vectors"));
        };
        let present: Vec<u8> = rows.iter().flatten().flatten().copied().collect();
        prop_assert_eq!((given.kind, given.dim), (data_type, i64::try_from(dim).unwrap()));
        prop_assert_eq!(given.bytes.as_slice(), &present[..]);
    }

    #[test]
    fn sparse_vectors_and_arrays_come_back(
        rows in proptest::collection::vec(
            proptest::option::of(proptest::collection::btree_map(0..1000_u32, 0..9_u8, 0..5)),
            0..6,
        ),
    ) {
        let encoded: Vec<Option<Vec<u8>>> = rows
            .iter()
            .map(|row| {
                let pairs = row.as_ref()?.iter().map(|(at, x)| (*at, f32::from(*x)));
                Some(sparse::encode(pairs))
            })
            .collect();
        let values: BinaryArray = encoded.iter().map(|row| row.as_deref()).collect();
        let field = sent(&column(DataType::SparseFloatVector, true, values));
        let valid: Vec<bool> = rows.iter().map(Option::is_some).collect();
        prop_assert_eq!(&field.valid_data, &valid);
        let InputValues::SparseVectors(back) = received(field).values else {
            return Err(TestCaseError::fail("not sparse vectors"));
        };
        let back: Vec<&[u8]> = back.as_binary::<i32>().iter().flatten().collect();
        let present: Vec<&[u8]> = encoded.iter().flatten().map(Vec::as_slice).collect();
        prop_assert_eq!(back, present);

        // Arrays: null rows are empty in a reply.
        let texts = |row: &std::collections::BTreeMap<u32, u8>| -> Vec<String> {
            row.iter().map(|(at, x)| format!("{at}:{x}")).collect()
        };
        let mut lists = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
        for row in &rows {
            lists.append_option(row.as_ref().map(|row| texts(row).into_iter().map(Some)));
        }
        let array = OutputColumn {
            field: FieldSchema {
                element_type: Some(DataType::VarChar),
                ..self::field(DataType::Array, true)
            },
            values: Arc::new(lists.finish()),
        };
        let back = received(sent(&array));
        prop_assert_eq!(&back.valid, &valid);
        let InputValues::Arrays(back) = back.values else {
            return Err(TestCaseError::fail("not arrays"));
        };
        let back = back.lists.as_list::<i32>();
        for (at, row) in rows.iter().enumerate() {
            let expected = row.as_ref().map(texts).unwrap_or_default();
            let got = back.value(at);
            let got: Vec<&str> = got.as_string::<i32>().iter().flatten().collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn vectors_are_the_same_at_any_alignment(
        floats in proptest::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..32),
        shift in 0..8_usize,
    ) {
        let bytes = FloatArray::from_numbers(floats.iter().copied()).data;
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(&bytes);
        let array = FloatArray { data: Bytes::from(shifted).slice(shift..) };
        let vectors = pb::VectorField {
            dim: 1,
            data: Some(pb::vector_field::Data::FloatVector(array)),
            valid_data: vec![],
        };
        let field = pb::FieldData {
            r#type: 101,
            field: Some(pb::field_data::Field::Vectors(vectors)),
            ..Default::default()
        };
        let InputValues::Vectors(given) = received(field).values else {
            return Err(TestCaseError::fail("not vectors"));
        };
        prop_assert_eq!(given.bytes.as_slice(), &bytes[..]);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(field) = pb::FieldData::decode(&bytes[..]) {
            let _ = input::from_wire(vec![field]);
        }
    }
}
