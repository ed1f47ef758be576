//! Values of `{names}` in a filter.

use std::collections::HashMap;

use milvus_expr::Templates;
use milvus_proto::schema as pb;
use milvus_types::{Failure, Result, Value};
use pb::template_array_value::Data as ArrayData;
use pb::template_value::Val;

/// The values by name.
pub fn from_wire(values: HashMap<String, pb::TemplateValue>) -> Result<Templates> {
    values.into_iter().map(|(name, value)| Ok((decode_value(&name, value)?, name))).try_fold(
        Templates::default(),
        |mut templates, entry: Result<(Value, String)>| {
            let (value, name) = entry?;
            templates.insert(name, value);
            Ok(templates)
        },
    )
}

fn decode_value(name: &str, value: pb::TemplateValue) -> Result<Value> {
    Ok(match value.val {
        Some(Val::BoolVal(value)) => Value::Bool(value),
        Some(Val::Int64Val(value)) => Value::Int64(value),
        Some(Val::FloatVal(value)) => Value::Double(value),
        Some(Val::StringVal(value)) => Value::VarChar(value),
        Some(Val::BytesVal(value)) => Value::Bytes(value.into()),
        Some(Val::ArrayVal(array)) => decode_array(name, array)?,
        None => {
            return Err(Failure::parameter_invalid(format!(
                "the value of expression template variable {name} is missing"
            )));
        }
    })
}

fn decode_array(name: &str, array: pb::TemplateArrayValue) -> Result<Value> {
    Ok(Value::Array(match array.data {
        // An empty list has no type on the wire.
        None => Vec::new(),
        Some(ArrayData::BoolData(array)) => array.data.into_iter().map(Value::Bool).collect(),
        Some(ArrayData::LongData(array)) => array.data.into_iter().map(Value::Int64).collect(),
        Some(ArrayData::DoubleData(array)) => array.numbers().map(Value::Double).collect(),
        Some(ArrayData::StringData(array)) => array.data.into_iter().map(Value::VarChar).collect(),
        Some(ArrayData::ArrayData(arrays)) => {
            arrays.data.into_iter().map(|array| decode_array(name, array)).collect::<Result<_>>()?
        }
        Some(ArrayData::JsonData(array)) => {
            array.data.iter().map(|json| decode_json(name, json)).collect::<Result<_>>()?
        }
    }))
}

/// An element of a list of mixed types; an object stays JSON text.
fn decode_json(name: &str, json: &[u8]) -> Result<Value> {
    let value = serde_json::from_slice(json).map_err(|error| {
        Failure::parameter_invalid(format!(
            "the value of expression template variable {name} is not valid JSON: {error}"
        ))
    })?;
    Ok(json_value(value))
}

fn json_value(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::String(value) => Value::VarChar(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(value) => Value::Int64(value),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::Array(values) => {
            Value::Array(values.into_iter().map(json_value).collect())
        }
        other @ (serde_json::Value::Null | serde_json::Value::Object(_)) => {
            Value::Bytes(other.to_string().into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_understood() {
        let json = |text: &str| bytes::Bytes::copy_from_slice(text.as_bytes());
        let mixed = pb::TemplateArrayValue {
            data: Some(ArrayData::JsonData(pb::JsonArray {
                data: vec![json("1"), json("\"a\""), json("2.5"), json("{\"k\": 1}")],
            })),
        };
        let value = |val| pb::TemplateValue { val: Some(val) };
        assert_eq!(
            decode_value("x", value(Val::ArrayVal(mixed))).unwrap(),
            Value::Array(vec![
                Value::Int64(1),
                Value::VarChar("a".into()),
                Value::Double(2.5),
                Value::Bytes(b"{\"k\":1}".to_vec()),
            ])
        );
        let doubles = pb::TemplateArrayValue {
            data: Some(ArrayData::DoubleData(milvus_proto::DoubleArray::from_numbers([0.5, 1.0]))),
        };
        assert_eq!(
            decode_value("x", value(Val::ArrayVal(doubles))).unwrap(),
            Value::Array(vec![Value::Double(0.5), Value::Double(1.0)])
        );
        assert_eq!(decode_value("x", value(Val::Int64Val(7))).unwrap(), Value::Int64(7));
        let missing = decode_value("limit", pb::TemplateValue { val: None }).unwrap_err();
        assert!(missing.reason.contains("limit"), "{missing}");
    }
}
