//! Columns as keys: one typed view of each Arrow array that an index may be over.

use std::borrow::Cow;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};

use crate::json::{Json, elements};
use crate::keys::{as_double, of_double};
use crate::shape::{JsonCast, Value};

/// A key that is being collected.
pub(super) enum Collected<'a> {
    Number(i64),
    Text(Cow<'a, str>),
}

/// An array of scalars.
pub(super) enum Scalars<'a> {
    Bool(&'a BooleanArray),
    Int8(&'a Int8Array),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Time(&'a TimestampMicrosecondArray),
    Float(&'a Float32Array),
    Double(&'a Float64Array),
    Text(&'a StringArray),
}

impl<'a> Scalars<'a> {
    /// `array` as values of kind `value`; `None` if it is something else.
    pub(super) fn new(array: &'a ArrayRef, value: Value) -> Option<Self> {
        match value {
            Value::Bool => array.as_boolean_opt().map(Self::Bool),
            Value::Float => array.as_primitive_opt::<Float32Type>().map(Self::Float),
            Value::Double => array.as_primitive_opt::<Float64Type>().map(Self::Double),
            Value::Text => array.as_string_opt().map(Self::Text),
            Value::Int => None
                .or_else(|| array.as_primitive_opt::<Int64Type>().map(Self::Int64))
                .or_else(|| array.as_primitive_opt::<Int32Type>().map(Self::Int32))
                .or_else(|| array.as_primitive_opt::<Int16Type>().map(Self::Int16))
                .or_else(|| array.as_primitive_opt::<Int8Type>().map(Self::Int8))
                .or_else(|| array.as_primitive_opt::<TimestampMicrosecondType>().map(Self::Time)),
        }
    }

    /// The key of the value at `index`, which is not null; NaN has none.
    pub(super) fn key(&self, index: usize) -> Option<Collected<'a>> {
        Some(Collected::Number(match self {
            Self::Bool(array) => i64::from(array.value(index)),
            Self::Int8(array) => i64::from(array.value(index)),
            Self::Int16(array) => i64::from(array.value(index)),
            Self::Int32(array) => i64::from(array.value(index)),
            Self::Int64(array) => array.value(index),
            Self::Time(array) => array.value(index),
            Self::Float(array) => of_double(f64::from(array.value(index)))?,
            Self::Double(array) => of_double(array.value(index))?,
            Self::Text(array) => return Some(Collected::Text(Cow::Borrowed(array.value(index)))),
        }))
    }
}

/// A list column and its elements.
pub(super) struct Lists<'a> {
    list: &'a ListArray,
    elements: Scalars<'a>,
}

impl<'a> Lists<'a> {
    pub(super) fn new(array: &'a ArrayRef, value: Value) -> Option<Self> {
        let list = array.as_list_opt::<i32>()?;
        Some(Self { list, elements: Scalars::new(list.values(), value)? })
    }

    /// The keys of the elements of the list at `index`.
    pub(super) fn keys(&self, index: usize) -> impl Iterator<Item = Collected<'a>> {
        let offsets = self.list.value_offsets();
        let at = |index: usize| offsets.get(index).and_then(|at| usize::try_from(*at).ok());
        let range = at(index).unwrap_or(0)..at(index + 1).unwrap_or(0);
        range.filter_map(|element| self.elements.key(element))
    }
}

/// Calls `visit` with the keys that the value at a JSON path has under `cast`, and whether each
/// stands for its number exactly.
pub(super) fn json_keys<'a>(
    value: &Json<'a>,
    cast: JsonCast,
    visit: &mut dyn FnMut(Collected<'a>, bool),
) {
    if let (true, Json::Array(text)) = (cast.is_array(), value) {
        for element in elements(text) {
            json_scalar(&element, cast.value(), visit);
        }
    } else if !cast.is_array() {
        json_scalar(value, cast.value(), visit);
    }
}

fn json_scalar<'a>(
    value: &Json<'a>,
    kind: Option<Value>,
    visit: &mut dyn FnMut(Collected<'a>, bool),
) {
    match (value, kind) {
        (Json::Bool(value), Some(Value::Bool)) => {
            visit(Collected::Number(i64::from(*value)), true);
        }
        (Json::Text(text), Some(Value::Text)) => visit(Collected::Text(text.clone()), true),
        (value, Some(Value::Double)) => {
            if let Some((key, exact)) = json_number(value) {
                visit(Collected::Number(key), exact);
            }
        }
        _ => {}
    }
}

/// The key of a JSON number, and whether it stands for that number exactly.
pub(super) fn json_number(value: &Json<'_>) -> Option<(i64, bool)> {
    match value {
        Json::Int(value) => {
            let (double, exact) = as_double(*value);
            Some((of_double(double)?, exact))
        }
        Json::Double(value) => Some((of_double(*value)?, true)),
        Json::Null | Json::Bool(_) | Json::Text(_) | Json::Array(_) | Json::Object(_) => None,
    }
}
