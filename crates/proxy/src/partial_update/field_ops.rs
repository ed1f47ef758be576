//! Operations on array fields in a partial update: which may be asked for, and what they make of
//! the arrays that rows have.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, ListArray, PrimitiveArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use milvus_types::columns::vector_element;
use milvus_types::{CollectionSchema, DataType, Failure, FieldSchema, Result};

use crate::api::{FieldOp, FieldOpKind, InputColumn, InputValues, InsertRequest};
use crate::insert::arrays;

/// Refuses operations that no field, or not this one, can have.
pub(crate) fn check_ops(schema: &CollectionSchema, request: &InsertRequest) -> Result<()> {
    let mut seen = HashSet::new();
    for op in &request.field_ops {
        if op.field_name.is_empty() {
            return Err(Failure::parameter_missing(
                "field_name",
                "FieldPartialUpdateOp.field_name is required",
            ));
        }
        if !seen.insert(op.field_name.as_str()) {
            return Err(Failure::parameter_invalid(format!(
                "duplicate partial-update op for field \"{}\"",
                op.field_name
            )));
        }
        if op.kind != Some(FieldOpKind::Replace) {
            check_op(schema, op, &request.columns)?;
        }
    }
    Ok(())
}

fn check_op(schema: &CollectionSchema, op: &FieldOp, columns: &[InputColumn]) -> Result<()> {
    let name = &op.field_name;
    let invalid = |what: String| Err(Failure::parameter_invalid(what));
    let field = schema.field(name).filter(|field| field.struct_name().is_none());
    if field.is_some_and(|field| field.is_primary_key) {
        return invalid(format!(
            "field \"{name}\" is the primary key and cannot carry a partial-update op"
        ));
    }
    let Some(field) = field else {
        return invalid(format!("field \"{name}\" not found in collection schema"));
    };
    let Some(kind) = op.kind else {
        return invalid(format!("unsupported partial update op: {}", op.number));
    };
    if field.data_type != DataType::Array {
        let (kind, data_type) = (kind_name(kind), field.data_type);
        return invalid(format!(
            "op {kind} requires Array field, but field \"{name}\" is {data_type}"
        ));
    }
    let Some(column) = columns.iter().find(|column| column.name == *name) else {
        return invalid(format!(
            "partial-update op targets field \"{name}\" not present in fields_data"
        ));
    };
    let InputValues::Arrays(given) = &column.values else {
        return invalid(format!("partial-update op field \"{name}\" payload is not an Array"));
    };
    let (Some(lists), Some(max)) = (given.lists.as_list_opt::<i32>(), field.max_capacity()) else {
        return Ok(());
    };
    let too_long = lists.offsets().lengths().enumerate().find(|(_, length)| *length > max);
    match too_long {
        Some((row, length)) if kind == FieldOpKind::ArrayAppend => invalid(format!(
            "ARRAY_APPEND payload for field \"{name}\" row {row} has length {length} exceeding \
             max_capacity {max}"
        )),
        _ => Ok(()),
    }
}

fn kind_name(kind: FieldOpKind) -> &'static str {
    match kind {
        FieldOpKind::Replace => "REPLACE",
        FieldOpKind::ArrayAppend => "ARRAY_APPEND",
        FieldOpKind::ArrayRemove => "ARRAY_REMOVE",
    }
}

/// The field's arrays after the operation: `old` by row of the request (`None` for a row that does
/// not exist), `given` with its `valid_data`.
///
/// A row without a given array keeps what it has; a row that does not exist takes the given one.
/// `None` where the given column is not whole: the checks that follow say what is wrong with it.
pub(crate) fn apply(
    field: &FieldSchema,
    kind: FieldOpKind,
    (old, places): (&ArrayRef, &[Option<u32>]),
    given: &InputColumn,
) -> Result<Option<ArrayRef>> {
    let payload = arrays::read(field, &given.values, None)?;
    let present = given.valid.iter().filter(|valid| **valid).count();
    let whole = if given.valid.is_empty() {
        payload.len() == places.len()
    } else {
        given.valid.len() == places.len() && present == payload.len()
    };
    let (Some(old), Some(payload)) = (old.as_list_opt::<i32>(), payload.as_list_opt::<i32>())
    else {
        return Ok(None);
    };
    if !whole {
        return Ok(None);
    }
    let failed = |error| Failure::internal(format!("arrays of {}: {error}", field.name));
    // Old elements first, given ones behind them.
    let all = concat(&[&**old.values(), &**payload.values()]).map_err(failed)?;
    let keys = Keys::of(&all);
    let mut elements: Vec<u32> = Vec::new();
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    let mut next = 0;
    for (row, place) in places.iter().enumerate() {
        let has_given = given.valid.is_empty() || given.valid.get(row) == Some(&true);
        let given = if has_given {
            next += 1;
            Some(range(payload, next - 1, old.values().len()))
        } else {
            None
        };
        let place = place.and_then(|place| usize::try_from(place).ok());
        let old_range = place.filter(|at| old.is_valid(*at)).map(|at| range(old, at, 0));
        let before = elements.len();
        match (place, old_range, given) {
            (None, _, given) => {
                valid.push(given.is_some());
                elements.extend(given.into_iter().flatten());
            }
            (Some(_), old, None) => {
                valid.push(old.is_some());
                elements.extend(old.into_iter().flatten());
            }
            (Some(_), old, Some(given)) => {
                valid.push(true);
                let old = old.into_iter().flatten();
                match kind {
                    FieldOpKind::Replace => elements.extend(given),
                    FieldOpKind::ArrayAppend => elements.extend(old.chain(given)),
                    FieldOpKind::ArrayRemove => {
                        let gone: HashSet<Key<'_>> = given.filter_map(|at| keys.get(at)).collect();
                        elements.extend(
                            old.filter(|at| keys.get(*at).is_none_or(|key| !gone.contains(&key))),
                        );
                    }
                }
                check_capacity(field, kind, elements.len() - before)?;
            }
        }
        lengths.push(elements.len() - before);
    }
    let values = take(&all, &UInt32Array::from(elements), None).map_err(failed)?;
    let nulls = (!valid.iter().all(|valid| *valid)).then(|| NullBuffer::from(valid));
    let element = vector_element(values.data_type().clone());
    let lists = ListArray::try_new(element, OffsetBuffer::from_lengths(lengths), values, nulls);
    Ok(Some(Arc::new(lists.map_err(failed)?)))
}

fn check_capacity(field: &FieldSchema, kind: FieldOpKind, length: usize) -> Result<()> {
    match field.max_capacity() {
        Some(max) if kind == FieldOpKind::ArrayAppend && length > max => Err(
            Failure::parameter_invalid(format!("array length {length} exceeds max_capacity {max}")),
        ),
        _ => Ok(()),
    }
}

/// The places of a list's elements, moved by `shift`.
fn range(lists: &ListArray, row: usize, shift: usize) -> std::ops::Range<u32> {
    let at = |row: usize| {
        let offset = lists.offsets().get(row).copied().unwrap_or_default();
        let offset = usize::try_from(offset).unwrap_or_default().saturating_add(shift);
        u32::try_from(offset).unwrap_or(u32::MAX)
    };
    at(row)..at(row + 1)
}

/// An element as something that can be looked up.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Bits(u64),
    Text(&'a str),
}

/// Elements as keys; numbers that equal nothing have none.
enum Keys<'a> {
    Bits(Vec<Option<u64>>),
    Texts(&'a arrow::array::StringArray),
}

impl<'a> Keys<'a> {
    fn of(elements: &'a ArrayRef) -> Self {
        if let Some(texts) = elements.as_string_opt::<i32>() {
            return Self::Texts(texts);
        }
        let float = |number: f64| (!number.is_nan()).then(|| (number + 0.0).to_bits());
        let bits: Vec<Option<u64>> = if let Some(flags) = elements.as_boolean_opt() {
            flags.values().iter().map(|flag| Some(u64::from(flag))).collect()
        } else if let Some(numbers) = elements.as_primitive_opt::<Float32Type>() {
            numbers.values().iter().map(|number| float(f64::from(*number))).collect()
        } else if let Some(numbers) = elements.as_primitive_opt::<Float64Type>() {
            numbers.values().iter().map(|number| float(*number)).collect()
        } else {
            integers(elements)
        };
        Self::Bits(bits)
    }

    fn get(&self, at: u32) -> Option<Key<'a>> {
        let at = usize::try_from(at).ok()?;
        match self {
            Self::Bits(bits) => bits.get(at).copied().flatten().map(Key::Bits),
            Self::Texts(texts) => (at < texts.len()).then(|| Key::Text(texts.value(at))),
        }
    }
}

fn integers(elements: &ArrayRef) -> Vec<Option<u64>> {
    fn widened<T: ArrowPrimitiveType<Native: Into<i64>>>(
        numbers: &PrimitiveArray<T>,
    ) -> Vec<Option<u64>> {
        numbers.values().iter().map(|number| Some((*number).into().cast_unsigned())).collect()
    }
    if let Some(numbers) = elements.as_primitive_opt::<Int8Type>() {
        widened(numbers)
    } else if let Some(numbers) = elements.as_primitive_opt::<Int16Type>() {
        widened(numbers)
    } else if let Some(numbers) = elements.as_primitive_opt::<Int32Type>() {
        widened(numbers)
    } else if let Some(numbers) = elements.as_primitive_opt::<Int64Type>() {
        widened(numbers)
    } else {
        vec![None; elements.len()]
    }
}

#[cfg(test)]
mod tests;
