//! Columns go in and come out as they were.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Float32Type};
use bytes::Bytes;
use proptest::prelude::*;

use milvus_proto::{FloatArray, Message as _, schema as pb};
use milvus_proxy::api::{InputColumn, InputValues, OutputColumn};
use milvus_types::columns::vector_element;
use milvus_types::{DataType, FieldId, FieldSchema};

use super::{input, output};

fn column(data_type: DataType, nullable: bool, values: impl Array + 'static) -> OutputColumn {
    let field = FieldSchema {
        id: FieldId(101),
        name: "f".into(),
        data_type,
        nullable,
        ..Default::default()
    };
    OutputColumn { field, values: Arc::new(values) }
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
fn null_vectors_are_left_out_of_a_reply() {
    let floats = Arc::new(Float32Array::from_iter_values((0..8_u8).map(f32::from)));
    let nulls = NullBuffer::from(vec![true, true, false, true]);
    let all = FixedSizeListArray::new(vector_element(ArrowType::Float32), 2, floats, Some(nulls));
    let field = sent(&column(DataType::FloatVector, true, all.slice(1, 3)));
    assert_eq!(field.valid_data, [true, false, true]);
    let InputValues::FloatVectors { dim, values } = received(field).values else { panic!() };
    assert_eq!(dim, 2);
    assert_eq!(values.as_primitive::<Float32Type>().values(), &[2.0, 3.0, 6.0, 7.0]);
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
    let field = |field| pb::FieldData { r#type: 104, field: Some(field), ..Default::default() };
    let sparse = pb::SparseFloatArray { contents: vec![Bytes::new(); 3], dim: 9 };
    let vectors = |data| {
        field(pb::field_data::Field::Vectors(pb::VectorField {
            dim: 8,
            data: Some(data),
            valid_data: vec![],
        }))
    };
    let kind = |field| {
        let column = received(field);
        let InputValues::Unsupported { kind, rows } = column.values else { panic!("{column:?}") };
        (kind, rows)
    };
    let sparse = vectors(pb::vector_field::Data::SparseFloatVector(sparse));
    assert_eq!(kind(sparse), ("SparseFloatVector".to_owned(), 3));
    let binary = vectors(pb::vector_field::Data::BinaryVector(Bytes::from_static(&[0; 5])));
    assert_eq!(kind(binary), ("BinaryVector".to_owned(), 5));

    let json = pb::JsonArray { data: vec![Bytes::from_static(b"{}"), Bytes::from_static(b"\xff")] };
    let scalars =
        pb::ScalarField { data: Some(pb::scalar_field::Data::JsonData(json)), valid_data: vec![] };
    let broken = pb::FieldData {
        field_name: "doc".into(),
        ..field(pb::field_data::Field::Scalars(scalars))
    };
    let error = input::from_wire(vec![broken]).unwrap_err();
    assert!(error.reason.contains("doc") && error.reason.contains("row 1"), "{error}");

    let nothing = pb::FieldData { r#type: 999, ..Default::default() };
    let nothing = received(nothing);
    assert!(matches!(nothing.values, InputValues::Missing) && nothing.data_type.is_none());
}

proptest! {
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
        let InputValues::FloatVectors { values, .. } = received(field).values else {
            return Err(TestCaseError::fail("not float vectors"));
        };
        let bits: Vec<u32> = floats.iter().map(|f| f.to_bits()).collect();
        let got: Vec<u32> =
            values.as_primitive::<Float32Type>().values().iter().map(|f| f.to_bits()).collect();
        prop_assert_eq!(got, bits);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(field) = pb::FieldData::decode(&bytes[..]) {
            let _ = input::from_wire(vec![field]);
        }
    }
}
