//! Default values of fields.
//!
//! A point in time comes as text, is kept as microseconds since the epoch, and is described as text
//! again.

use milvus_proto::schema::value_field::Data as DefaultData;
use milvus_types::{DataType, Value};
use milvus_values::timestamptz::{self, Zone};

/// The default in a request; `None` for one of a type that is not served.
pub(super) fn from_wire(data_type: DataType, value: DefaultData) -> Option<Value> {
    Some(match value {
        DefaultData::BoolData(value) => Value::Bool(value),
        DefaultData::IntData(value) => Value::Int32(value),
        DefaultData::LongData(value) => Value::Int64(value),
        DefaultData::FloatData(value) => Value::Float(value),
        DefaultData::DoubleData(value) => Value::Double(value),
        DefaultData::StringData(value) => Value::VarChar(value),
        DefaultData::BytesData(value) => Value::Bytes(value.into()),
        DefaultData::TimestamptzData(micros) if data_type == DataType::Timestamptz => {
            Value::VarChar(timestamptz::format(micros, &Zone::utc()))
        }
        DefaultData::TimestamptzData(_) | DefaultData::DateData(_) | DefaultData::TimeData(_) => {
            return None;
        }
    })
}

/// A default in the form that its field's type has on the wire.
pub(super) fn to_wire(data_type: DataType, value: &Value, zone: &Zone) -> Option<DefaultData> {
    #[expect(clippy::cast_possible_truncation, reason = "a float's default was made of a float")]
    Some(match value {
        Value::Bool(value) => DefaultData::BoolData(*value),
        Value::Int32(value) => DefaultData::IntData(*value),
        Value::Float(value) => DefaultData::FloatData(*value),
        Value::Int64(micros) if data_type == DataType::Timestamptz => {
            DefaultData::StringData(timestamptz::format(*micros, zone))
        }
        Value::Int64(value) if data_type == DataType::Int64 => DefaultData::LongData(*value),
        Value::Int64(value) => match i32::try_from(*value) {
            Ok(small) => DefaultData::IntData(small),
            Err(_) => DefaultData::LongData(*value),
        },
        Value::Double(value) if data_type == DataType::Float => {
            DefaultData::FloatData(*value as f32)
        }
        Value::Double(value) => DefaultData::DoubleData(*value),
        Value::VarChar(value) => DefaultData::StringData(value.clone()),
        Value::Bytes(value) => DefaultData::BytesData(value.clone().into()),
        Value::Array(_) => return None,
    })
}
