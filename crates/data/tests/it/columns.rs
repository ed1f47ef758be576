//! A collection with a field of every type, and random columns of each.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray,
    StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use half::f16;
use milvus_types::columns::vector_element;
use milvus_types::{CollectionSchema, DataType, FieldId, FieldSchema, KeyValue, PkType, Value};
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// The field that another one took the place of.
pub(crate) const DROPPED: FieldId = FieldId(199);
/// The first of the fields that older segments lack.
pub(crate) const ADDED: FieldId = FieldId(300);

fn field(id: i64, name: &str, data_type: DataType) -> FieldSchema {
    FieldSchema { id: FieldId(id), name: name.to_owned(), data_type, ..FieldSchema::default() }
}

fn nullable(id: i64, name: &str, data_type: DataType) -> FieldSchema {
    FieldSchema { nullable: true, ..field(id, name, data_type) }
}

fn vector(id: i64, name: &str, data_type: DataType, dim: usize) -> FieldSchema {
    let type_params = vec![KeyValue::new("dim", dim.to_string())];
    FieldSchema { type_params, ..field(id, name, data_type) }
}

fn array(id: i64, name: &str, element: DataType) -> FieldSchema {
    FieldSchema { element_type: Some(element), ..nullable(id, name, DataType::Array) }
}

/// Today's schema. Fields from [`ADDED`] on came late; `DROPPED` is a field of old segments only.
pub(crate) fn schema(pk_type: PkType) -> CollectionSchema {
    let key = match pk_type {
        PkType::Int64 => DataType::Int64,
        PkType::VarChar => DataType::VarChar,
    };
    CollectionSchema {
        name: "c".to_owned(),
        version: 7,
        enable_dynamic_field: true,
        fields: vec![
            FieldSchema { is_primary_key: true, ..field(100, "id", key) },
            nullable(101, "flag", DataType::Bool),
            nullable(102, "tiny", DataType::Int8),
            field(103, "small", DataType::Int16),
            nullable(104, "number", DataType::Int32),
            nullable(105, "big", DataType::Int64),
            nullable(106, "single", DataType::Float),
            field(107, "double", DataType::Double),
            nullable(108, "label", DataType::VarChar),
            nullable(109, "json", DataType::JSON),
            nullable(110, "place", DataType::Geometry),
            nullable(111, "expires", DataType::Timestamptz),
            array(112, "numbers", DataType::Int64),
            array(113, "words", DataType::VarChar),
            array(114, "s[flags]", DataType::Bool),
            vector(120, "float", DataType::FloatVector, 3),
            FieldSchema { nullable: true, ..vector(121, "half", DataType::Float16Vector, 2) },
            FieldSchema { nullable: true, ..vector(122, "brain", DataType::BFloat16Vector, 2) },
            vector(123, "binary", DataType::BinaryVector, 16),
            FieldSchema { nullable: true, ..vector(124, "int8", DataType::Int8Vector, 3) },
            nullable(125, "sparse", DataType::SparseFloatVector),
            FieldSchema {
                element_type: Some(DataType::FloatVector),
                ..vector(126, "s[vectors]", DataType::ArrayOfVector, 2)
            },
            FieldSchema { is_dynamic: true, ..field(127, "$meta", DataType::JSON) },
            nullable(ADDED.0, "late", DataType::VarChar),
            FieldSchema {
                default_value: Some(Value::Int32(42)),
                ..nullable(301, "late_default", DataType::Int32)
            },
            FieldSchema { nullable: true, ..vector(302, "late_vector", DataType::FloatVector, 2) },
        ],
        ..CollectionSchema::default()
    }
}

/// The schema that some segment was written under: with or without the late fields, perhaps with a
/// field that was dropped since, in another order.
pub(crate) fn older(schema: &CollectionSchema, rng: &mut StdRng) -> CollectionSchema {
    let mut older = schema.clone();
    older.version = 3;
    if rng.random_bool(0.5) {
        older.fields.retain(|field| field.id < ADDED || rng.random_bool(0.3));
        // Under a name that a field of today has: names are not what columns are found by.
        older.fields.push(nullable(DROPPED.0, "late", DataType::Double));
        older.fields.dedup_by(|a, b| a.name == b.name);
        older.fields.rotate_left(1);
    }
    let mut names = std::collections::HashSet::new();
    older.fields.retain(|field| names.insert(field.name.clone()));
    older
}

/// `rows` random values of `field`.
pub(crate) fn column(field: &FieldSchema, rows: usize, rng: &mut StdRng) -> ArrayRef {
    let nulls: Option<NullBuffer> =
        field.nullable.then(|| (0..rows).map(|_| rng.random_bool(0.8)).collect::<Vec<_>>().into());
    let present = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let dim = field.dim().unwrap_or(0);
    let mut some = |value: &mut dyn FnMut(&mut StdRng) -> i64| -> Vec<Option<i64>> {
        (0..rows).map(|row| present(row).then(|| value(rng))).collect()
    };
    match field.data_type {
        DataType::Bool => Arc::new(
            some(&mut |rng| rng.random_range(0..2))
                .into_iter()
                .map(|value| value.map(|value| value == 1))
                .collect::<BooleanArray>(),
        ),
        DataType::Int8 => ints(&some(&mut |rng| rng.random_range(-128..128))),
        DataType::Int16 => Arc::new(
            some(&mut |rng| rng.random_range(-300..300))
                .into_iter()
                .map(|value| value.map(|value| i16::try_from(value).unwrap()))
                .collect::<Int16Array>(),
        ),
        DataType::Int32 => Arc::new(
            some(&mut |rng| rng.random_range(-5..5))
                .into_iter()
                .map(|value| value.map(|value| i32::try_from(value).unwrap()))
                .collect::<Int32Array>(),
        ),
        DataType::Int64 => Arc::new(Int64Array::from(some(&mut |rng| rng.random()))),
        DataType::Float => {
            let values = some(&mut |rng| rng.random_range(-4..4));
            Arc::new(
                values.into_iter().map(|v| v.map(|v| v as f32 / 2.0)).collect::<Float32Array>(),
            )
        }
        DataType::Double => {
            let values = some(&mut |rng| rng.random_range(-9..9));
            Arc::new(values.into_iter().map(|v| v.map(|v| v as f64)).collect::<Float64Array>())
        }
        DataType::VarChar => {
            let values = some(&mut |rng| rng.random_range(0..40));
            let text = |n: i64| "ä".repeat(usize::try_from(n % 4).unwrap()) + &n.to_string();
            Arc::new(values.into_iter().map(|v| v.map(text)).collect::<StringArray>())
        }
        DataType::JSON => {
            let values = some(&mut |rng| rng.random_range(0..9));
            let text = |n: i64| format!("{{\"k\":{n}}}");
            Arc::new(values.into_iter().map(|v| v.map(text)).collect::<StringArray>())
        }
        DataType::Geometry | DataType::SparseFloatVector => {
            let values = some(&mut |rng| rng.random_range(0..5));
            let bytes = |n: i64| vec![u8::try_from(n).unwrap(); usize::try_from(n).unwrap() * 8];
            Arc::new(values.into_iter().map(|v| v.map(bytes)).collect::<BinaryArray>())
        }
        DataType::Timestamptz => {
            let values = TimestampMicrosecondArray::from(some(&mut |rng| rng.random_range(0..100)));
            Arc::new(values.with_timezone("UTC"))
        }
        DataType::Array => {
            let lengths: Vec<usize> = (0..rows)
                .map(|row| if present(row) { rng.random_range(0..4) } else { 0 })
                .collect();
            let element = FieldSchema {
                data_type: field.element_type.unwrap(),
                element_type: None,
                nullable: false,
                ..field.clone()
            };
            list(column(&element, lengths.iter().sum(), rng), &lengths, nulls)
        }
        DataType::ArrayOfVector => {
            let lengths: Vec<usize> = (0..rows).map(|_| rng.random_range(0..3)).collect();
            let element = FieldSchema {
                data_type: field.element_type.unwrap(),
                element_type: None,
                ..field.clone()
            };
            list(column(&element, lengths.iter().sum(), rng), &lengths, nulls)
        }
        DataType::FloatVector => {
            let values = vector_values(rows, dim, &present, rng, |byte| f32::from(byte) / 4.0);
            dense(Arc::new(Float32Array::from(values)), dim, nulls)
        }
        DataType::Float16Vector => {
            let value = |byte: u8| f16::from_f32(f32::from(byte));
            let values = vector_values(rows, dim, &present, rng, value);
            dense(Arc::new(Float16Array::from(values)), dim, nulls)
        }
        DataType::Int8Vector => {
            let values = vector_values(rows, dim, &present, rng, u8::cast_signed);
            dense(Arc::new(Int8Array::from(values)), dim, nulls)
        }
        DataType::BFloat16Vector | DataType::BinaryVector => {
            let width = if field.data_type == DataType::BinaryVector { dim / 8 } else { dim * 2 };
            let values = vector_values(rows, width, &present, rng, |byte| byte);
            let size = i32::try_from(width).unwrap();
            Arc::new(FixedSizeBinaryArray::try_new(size, values.into(), nulls).unwrap())
        }
        DataType::String | DataType::Text | DataType::ArrayOfStruct | DataType::Struct => {
            panic!("{} has no column here", field.data_type)
        }
    }
}

fn ints(values: &[Option<i64>]) -> ArrayRef {
    let values = values.iter().map(|value| value.map(|value| i8::try_from(value).unwrap()));
    Arc::new(values.collect::<Int8Array>())
}

/// `width` values for each row, zeros where none is present.
fn vector_values<T>(
    rows: usize,
    width: usize,
    present: &dyn Fn(usize) -> bool,
    rng: &mut StdRng,
    value: impl Fn(u8) -> T,
) -> Vec<T> {
    let mut bytes = vec![0; rows * width];
    rng.fill_bytes(&mut bytes);
    let at = |(at, byte): (usize, u8)| value(if present(at / width) { byte } else { 0 });
    bytes.into_iter().enumerate().map(at).collect()
}

fn dense(values: ArrayRef, dim: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    let element = vector_element(values.data_type().clone());
    Arc::new(FixedSizeListArray::new(element, i32::try_from(dim).unwrap(), values, nulls))
}

fn list(values: ArrayRef, lengths: &[usize], nulls: Option<NullBuffer>) -> ArrayRef {
    let element = vector_element(values.data_type().clone());
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(ListArray::new(element, offsets, values, nulls))
}
