//! Columns: the one Arrow layout of a row's values, from the socket to the segment file.
//!
//! | data type | Arrow type |
//! |---|---|
//! | Bool | Boolean |
//! | Int8, Int16, Int32, Int64 | the same |
//! | Float, Double | Float32, Float64 |
//! | VarChar, Text | Utf8 |
//! | JSON (and `$meta`) | Utf8, JSON text |
//! | Geometry | Binary, WKB |
//! | Timestamptz | Timestamp(Microsecond, "UTC") |
//! | Array | List<element>, elements not null |
//! | FloatVector | FixedSizeList<Float32>\[dim\], elements not null |
//! | Float16Vector | FixedSizeList<Float16>\[dim\], elements not null |
//! | Int8Vector | FixedSizeList<Int8>\[dim\], elements not null |
//! | BFloat16Vector | FixedSizeBinary\[2 dim\], little-endian |
//! | BinaryVector | FixedSizeBinary\[dim / 8\] |
//! | SparseFloatVector | Binary: (u32 index, f32 value) pairs, little-endian, ascending by index |
//! | ArrayOfVector | List<the vector's own type>, elements not null |
//!
//! Null rows are null in the Arrow array; the slot of a null vector holds zeros. The sub-fields of a
//! struct array are columns of their own, called `struct[sub]`, each a list of equal lengths.
//!
//! A column is named as its field and carries the field id in metadata under [`FIELD_ID`], so that
//! any Arrow tool can read a user's file. Segment files have one more column, [`TIMESTAMP_COLUMN`].
//! Types not in the table are refused with [`UnsupportedDataType`].

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};

use crate::data_type::DataType;
use crate::error::{Coded, ErrorCode};
use crate::schema::{CollectionSchema, FieldSchema};

/// The metadata key under which a column keeps its field id.
pub const FIELD_ID: &str = "milvus.field_id";
/// The metadata key under which a column keeps its Milvus data type's name.
pub const DATA_TYPE: &str = "milvus.data_type";
/// The column of insert timestamps (UInt64) in a segment file.
pub const TIMESTAMP_COLUMN: &str = "$timestamp";

/// A field whose type has no column layout yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("data type {data_type} of field {field} is not supported yet")]
pub struct UnsupportedDataType {
    /// The field's name.
    pub field: String,
    /// Its type.
    pub data_type: DataType,
}

impl Coded for UnsupportedDataType {
    fn code(&self) -> ErrorCode {
        ErrorCode::ParameterInvalid
    }
}

/// The Arrow type of `field`'s values.
pub fn arrow_type(field: &FieldSchema) -> Result<ArrowType, UnsupportedDataType> {
    let unsupported =
        || UnsupportedDataType { field: field.name.clone(), data_type: field.data_type };
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other type is refused by name")]
    Ok(match field.data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int8 => ArrowType::Int8,
        DataType::Int16 => ArrowType::Int16,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::VarChar | DataType::Text | DataType::JSON => ArrowType::Utf8,
        DataType::Geometry | DataType::SparseFloatVector => ArrowType::Binary,
        DataType::Timestamptz => timestamptz_type(),
        DataType::Array => {
            let element = field.element_type.and_then(array_element).ok_or_else(unsupported)?;
            ArrowType::List(vector_element(element))
        }
        DataType::ArrayOfVector => {
            let dim = field.dim().ok_or_else(unsupported)?;
            let element = field.element_type.and_then(|element| vector_type(element, dim));
            ArrowType::List(vector_element(element.ok_or_else(unsupported)?))
        }
        dense => {
            let dim = field.dim().ok_or_else(unsupported)?;
            vector_type(dense, dim).ok_or_else(unsupported)?
        }
    })
}

/// The Arrow type of `Timestamptz` values: microseconds since the epoch.
pub fn timestamptz_type() -> ArrowType {
    ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The Arrow type of an array's elements, `None` for types that arrays do not hold.
pub fn array_element(element: DataType) -> Option<ArrowType> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other type is refused")]
    Some(match element {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int8 => ArrowType::Int8,
        DataType::Int16 => ArrowType::Int16,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::VarChar => ArrowType::Utf8,
        _ => return None,
    })
}

/// The Arrow type of fixed-size vectors of `dim` dimensions; `None` where `data_type` is no such
/// vector or `dim` does not fit it.
pub fn vector_type(data_type: DataType, dim: usize) -> Option<ArrowType> {
    let size = i32::try_from(dim).ok().filter(|size| *size > 0)?;
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other type is refused")]
    match data_type {
        DataType::FloatVector => {
            Some(ArrowType::FixedSizeList(vector_element(ArrowType::Float32), size))
        }
        DataType::Float16Vector => {
            Some(ArrowType::FixedSizeList(vector_element(ArrowType::Float16), size))
        }
        DataType::Int8Vector => {
            Some(ArrowType::FixedSizeList(vector_element(ArrowType::Int8), size))
        }
        DataType::BFloat16Vector => Some(ArrowType::FixedSizeBinary(size.checked_mul(2)?)),
        DataType::BinaryVector if size % 8 == 0 => Some(ArrowType::FixedSizeBinary(size / 8)),
        _ => None,
    }
}

/// The element field of a list or fixed-size vector column.
pub fn vector_element(element: ArrowType) -> Arc<Field> {
    Arc::new(Field::new("item", element, false))
}

/// The Arrow column of `field`.
pub fn arrow_field(field: &FieldSchema) -> Result<Field, UnsupportedDataType> {
    Ok(Field::new(&field.name, arrow_type(field)?, field.nullable).with_metadata(HashMap::from([
        (FIELD_ID.to_owned(), field.id.to_string()),
        (DATA_TYPE.to_owned(), field.data_type.name().to_owned()),
    ])))
}

/// The Arrow schema of `schema`'s fields, in their order, without system columns.
pub fn arrow_schema(schema: &CollectionSchema) -> Result<SchemaRef, UnsupportedDataType> {
    let fields = schema.fields.iter().map(arrow_field).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}
