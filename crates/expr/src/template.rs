//! Template values: what a client sends for each `{name}` of a filter.

use std::collections::HashMap;

use crate::error::TemplateError;
use crate::literal::Literal;

/// The value of one template variable. JSON arrives as [`milvus_types::Value::Bytes`], its text.
pub type TemplateValue = milvus_types::Value;

/// Template variables by name.
pub type Templates = HashMap<String, TemplateValue>;

/// The literal that variable `name` stands for, `None` if there is no such variable.
pub(crate) fn find(templates: &Templates, name: &str) -> Result<Option<Literal>, TemplateError> {
    let Some(value) = templates.get(name) else {
        return Ok(None);
    };
    literal(value).map(Some).ok_or_else(|| TemplateError::NotJson { name: name.to_owned() })
}

fn literal(value: &TemplateValue) -> Option<Literal> {
    Some(match value {
        TemplateValue::Bool(value) => Literal::Bool(*value),
        TemplateValue::Int32(value) => Literal::Int64((*value).into()),
        TemplateValue::Int64(value) => Literal::Int64(*value),
        TemplateValue::Float(value) => Literal::Double((*value).into()),
        TemplateValue::Double(value) => Literal::Double(*value),
        TemplateValue::VarChar(value) => Literal::VarChar(value.as_str().into()),
        TemplateValue::Bytes(text) => json_literal(&serde_json::from_slice(text).ok()?)?,
        TemplateValue::Array(values) => {
            Literal::Array(values.iter().map(literal).collect::<Option<_>>()?)
        }
    })
}

fn json_literal(value: &serde_json::Value) -> Option<Literal> {
    Some(match value {
        serde_json::Value::Bool(value) => Literal::Bool(*value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(value) => Literal::Int64(value),
            None => Literal::Double(number.as_f64()?),
        },
        serde_json::Value::String(value) => Literal::VarChar(value.as_str().into()),
        serde_json::Value::Array(values) => {
            Literal::Array(values.iter().map(json_literal).collect::<Option<_>>()?)
        }
        serde_json::Value::Null | serde_json::Value::Object(_) => return None,
    })
}
