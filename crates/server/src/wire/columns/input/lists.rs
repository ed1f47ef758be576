//! Rows that are lists: arrays of scalars, and lists of vectors. Each row says for itself of which
//! kind its elements are; those of the first row's kind go into one run.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, Int32Array, Int64Array, ListArray, NullArray,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{Float32Type, Float64Type};
use bytes::Bytes;

use milvus_proto::schema as pb;
use milvus_proxy::api::{InputArrays, InputVectorLists};
use milvus_types::columns::vector_element;
use milvus_types::{DataType, Failure, Result};
use pb::scalar_field::Data as Scalars;
use pb::vector_field::Data as Vectors;

use super::{broken, check_total, numbers, strings};

/// Elements of all rows of one kind, and how many each row has.
enum Elements {
    Bool(Vec<bool>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Float(Vec<u8>),
    Double(Vec<u8>),
    Text(Vec<String>),
}

/// Arrays of scalars.
pub(super) fn arrays(field_name: &str, rows: Vec<pb::ScalarField>) -> Result<InputArrays> {
    let mut elements: Option<Elements> = None;
    let mut lengths = Vec::with_capacity(rows.len());
    let mut odd = None;
    for row in rows {
        no_nulls(field_name, &row.valid_data)?;
        let Some(data) = row.data else {
            odd = Some("nil".to_owned());
            break;
        };
        let name = kind_name(&data);
        let Some(length) = append(&mut elements, data) else {
            odd = Some(name.to_owned());
            break;
        };
        lengths.push(length);
    }
    check_total(field_name, lengths.iter().sum())?;
    let values: ArrayRef = match elements {
        None => Arc::new(NullArray::new(0)),
        Some(Elements::Bool(values)) => Arc::new(BooleanArray::from(values)),
        Some(Elements::Int(values)) => Arc::new(Int32Array::from(values)),
        Some(Elements::Long(values)) => Arc::new(Int64Array::from(values)),
        Some(Elements::Float(bytes)) => Arc::new(numbers::<Float32Type>(bytes.into())),
        Some(Elements::Double(bytes)) => Arc::new(numbers::<Float64Type>(bytes.into())),
        Some(Elements::Text(texts)) => Arc::new(strings(field_name, &texts)?),
    };
    let element = vector_element(values.data_type().clone());
    let lists = ListArray::try_new(element, OffsetBuffer::from_lengths(lengths), values, None);
    let lists = lists.map_err(|error| broken(field_name, &error))?;
    Ok(InputArrays { lists: Arc::new(lists), odd })
}

fn no_nulls(field_name: &str, valid: &[bool]) -> Result<()> {
    if valid.iter().all(|valid| *valid) {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!(
        "null elements of field {field_name} are not supported yet"
    )))
}

/// Adds a row's elements; their number, or `None` if they are of another kind than those before.
fn append(elements: &mut Option<Elements>, data: Scalars) -> Option<usize> {
    let all = match elements {
        Some(all) => all,
        None => elements.insert(Elements::of_kind(&data)?),
    };
    match (all, data) {
        (Elements::Bool(all), Scalars::BoolData(row)) => extend(all, row.data),
        (Elements::Int(all), Scalars::IntData(row)) => extend(all, row.data),
        (Elements::Long(all), Scalars::LongData(row)) => extend(all, row.data),
        (Elements::Float(all), Scalars::FloatData(row)) => {
            all.extend_from_slice(&row.data);
            Some(row.len())
        }
        (Elements::Double(all), Scalars::DoubleData(row)) => {
            all.extend_from_slice(&row.data);
            Some(row.len())
        }
        (Elements::Text(all), Scalars::StringData(row)) => extend(all, row.data),
        _ => None,
    }
}

fn extend<T>(all: &mut Vec<T>, row: Vec<T>) -> Option<usize> {
    let length = row.len();
    all.extend(row);
    Some(length)
}

impl Elements {
    fn of_kind(data: &Scalars) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "arrays hold no other kind")]
        Some(match data {
            Scalars::BoolData(_) => Self::Bool(Vec::new()),
            Scalars::IntData(_) => Self::Int(Vec::new()),
            Scalars::LongData(_) => Self::Long(Vec::new()),
            Scalars::FloatData(_) => Self::Float(Vec::new()),
            Scalars::DoubleData(_) => Self::Double(Vec::new()),
            Scalars::StringData(_) => Self::Text(Vec::new()),
            _ => return None,
        })
    }
}

/// How Milvus's messages name a kind.
fn kind_name(data: &Scalars) -> &'static str {
    match data {
        Scalars::BoolData(_) => "*schemapb.ScalarField_BoolData",
        Scalars::IntData(_) => "*schemapb.ScalarField_IntData",
        Scalars::LongData(_) => "*schemapb.ScalarField_LongData",
        Scalars::FloatData(_) => "*schemapb.ScalarField_FloatData",
        Scalars::DoubleData(_) => "*schemapb.ScalarField_DoubleData",
        Scalars::StringData(_) => "*schemapb.ScalarField_StringData",
        Scalars::BytesData(_) => "*schemapb.ScalarField_BytesData",
        Scalars::ArrayData(_) => "*schemapb.ScalarField_ArrayData",
        Scalars::JsonData(_) => "*schemapb.ScalarField_JsonData",
        Scalars::GeometryData(_) => "*schemapb.ScalarField_GeometryData",
        Scalars::TimestamptzData(_) => "*schemapb.ScalarField_TimestamptzData",
        Scalars::GeometryWktData(_) => "*schemapb.ScalarField_GeometryWktData",
        Scalars::MolData(_) => "*schemapb.ScalarField_MolData",
        Scalars::MolSmilesData(_) => "*schemapb.ScalarField_MolSmilesData",
        Scalars::DateData(_) => "*schemapb.ScalarField_DateData",
        Scalars::TimeData(_) => "*schemapb.ScalarField_TimeData",
    }
}

/// Lists of vectors.
pub(super) fn vectors(field_name: &str, array: pb::VectorArray) -> Result<InputVectorLists> {
    let mut kind = None;
    let (mut all, mut lengths, mut odd) = (Vec::new(), Vec::with_capacity(array.data.len()), false);
    for row in array.data {
        no_nulls(field_name, &row.valid_data)?;
        let Some((row_kind, bytes)) = packed(row.data) else {
            odd = true;
            break;
        };
        if *kind.get_or_insert(row_kind) != row_kind {
            odd = true;
            break;
        }
        lengths.push(bytes.len());
        all.extend_from_slice(&bytes);
    }
    check_total(field_name, all.len())?;
    let bytes = Buffer::from_vec(all);
    Ok(InputVectorLists { kind, dim: array.dim, lengths, bytes, odd })
}

fn packed(data: Option<Vectors>) -> Option<(DataType, Bytes)> {
    match data? {
        Vectors::FloatVector(array) => Some((DataType::FloatVector, array.data)),
        Vectors::BinaryVector(data) => Some((DataType::BinaryVector, data)),
        Vectors::Float16Vector(data) => Some((DataType::Float16Vector, data)),
        Vectors::Bfloat16Vector(data) => Some((DataType::BFloat16Vector, data)),
        Vectors::Int8Vector(data) => Some((DataType::Int8Vector, data)),
        Vectors::SparseFloatVector(_) | Vectors::VectorArray(_) => None,
    }
}
