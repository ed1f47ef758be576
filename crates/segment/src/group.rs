//! Grouping hits: the values that make a group, and the groups that a ranking of hits gives.
//!
//! A group is one combination of values, null being a value too. The `k` groups of a search are
//! those with the best hits.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

use milvus_types::{DataType, FieldSchema};

use crate::chunk::Rows;
use crate::error::{GroupCast, SearchError};
use crate::ranking::{Item, Ranking};
use crate::spec::{GroupBy, GroupField, GroupValue, Hit};

/// Reads the values of rows that make groups.
pub(crate) struct Groups<'a> {
    rows: &'a Rows,
    fields: Vec<(&'a GroupField, &'a FieldSchema)>,
    /// `[field][chunk]`
    columns: Vec<Vec<ArrayRef>>,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(rows: &'a Rows, by: &'a GroupBy) -> Result<Self, SearchError> {
        let mut fields = Vec::with_capacity(by.fields.len());
        let mut columns = Vec::with_capacity(by.fields.len());
        for group in &by.fields {
            let field =
                rows.schema.field(&group.column).ok_or_else(|| rows.no_column(&group.column))?;
            fields.push((group, field));
            let column = |chunk: &Arc<crate::chunk::Chunk>| chunk.column_or_constant(field);
            columns.push(rows.chunks.iter().map(column).collect());
        }
        Ok(Self { rows, fields, columns })
    }

    /// The group of row `row`.
    pub(crate) fn of(&self, row: u32) -> Result<Arc<[GroupValue]>, SearchError> {
        let (chunk, start) = match self.rows.locate(row) {
            Ok((chunk, found)) => (chunk, found.start),
            Err(_) => return Ok(self.fields.iter().map(|_| GroupValue::Null).collect()),
        };
        let row = (row - start) as usize;
        let fields = self.fields.iter().zip(&self.columns);
        fields
            .map(|((by, field), columns)| {
                let json = (field.data_type == DataType::JSON).then_some(*by);
                value(json, &columns[chunk], row)
            })
            .collect()
    }
}

/// The value of `column` at `row`; `json` says how it is read from JSON.
fn value(
    json: Option<&GroupField>,
    column: &ArrayRef,
    row: usize,
) -> Result<GroupValue, SearchError> {
    if column.is_null(row) {
        return Ok(GroupValue::Null);
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "other types make no groups")]
    Ok(match column.data_type() {
        ArrowType::Boolean => GroupValue::Bool(column.as_boolean().value(row)),
        ArrowType::Int8 => GroupValue::Int(column.as_primitive::<Int8Type>().value(row).into()),
        ArrowType::Int16 => GroupValue::Int(column.as_primitive::<Int16Type>().value(row).into()),
        ArrowType::Int32 => GroupValue::Int(column.as_primitive::<Int32Type>().value(row).into()),
        ArrowType::Int64 => GroupValue::Int(column.as_primitive::<Int64Type>().value(row)),
        ArrowType::Timestamp(..) => column
            .as_primitive_opt::<TimestampMicrosecondType>()
            .map_or(GroupValue::Null, |times| GroupValue::Int(times.value(row))),
        ArrowType::Utf8 => {
            let text = column.as_string::<i32>().value(row);
            match json {
                Some(by) => json_value(by, text)?,
                None => GroupValue::VarChar(text.into()),
            }
        }
        _ => GroupValue::Null,
    })
}

/// The value at the path of `by` in JSON `text`, as its type.
fn json_value(by: &GroupField, text: &str) -> Result<GroupValue, SearchError> {
    let root: Option<Json> = serde_json::from_str(text).ok();
    let mut found = root.as_ref();
    for step in &by.path {
        let next = match found {
            Some(Json::Object(members)) => members.get(step),
            Some(Json::Array(elements)) => step.parse().ok().and_then(|at: usize| elements.get(at)),
            _ => None,
        };
        found = next;
    }
    if let Some(value) = found.and_then(|json| cast(json, by.json_type)) {
        return Ok(value);
    }
    if by.strict_cast {
        let data_type = by.json_type.unwrap_or(DataType::VarChar);
        return Err(GroupCast { column: by.column.clone(), data_type }.into());
    }
    Ok(GroupValue::Null)
}

/// `json` as `data_type`, `None` if it is of another type.
#[expect(clippy::cast_possible_truncation, reason = "narrow integers wrap around as in Milvus")]
fn cast(json: &Json, data_type: Option<DataType>) -> Option<GroupValue> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other types make no groups")]
    match data_type {
        None => Some(match json {
            Json::Null => GroupValue::Null,
            Json::String(text) => GroupValue::VarChar(text.as_str().into()),
            other => GroupValue::VarChar(other.to_string().into()),
        }),
        Some(DataType::Bool) => json.as_bool().map(GroupValue::Bool),
        Some(DataType::VarChar | DataType::String) => {
            json.as_str().map(|text| GroupValue::VarChar(text.into()))
        }
        Some(DataType::Int8) => json.as_i64().map(|n| GroupValue::Int((n as i8).into())),
        Some(DataType::Int16) => json.as_i64().map(|n| GroupValue::Int((n as i16).into())),
        Some(DataType::Int32) => json.as_i64().map(|n| GroupValue::Int((n as i32).into())),
        Some(DataType::Int64) => json.as_i64().map(GroupValue::Int),
        Some(_) => None,
    }
}

/// The best hits of the `k` best groups of `ranking`, whose hits `in_order` sorts to the last tie.
pub(crate) fn best_groups(
    ranking: &mut dyn Ranking,
    in_order: impl Fn(Vec<Item>) -> Vec<Hit>,
    groups: &Groups<'_>,
    (by, query): (&GroupBy, usize),
    k: usize,
) -> Result<Vec<Hit>, SearchError> {
    let size = by.size.max(1);
    let only = by.only.as_ref().and_then(|only| only.get(query));
    let k = only.map_or(k, HashSet::len);
    let mut counts: FxHashMap<Arc<[GroupValue]>, usize> = FxHashMap::default();
    let mut found = Vec::new();
    let mut full = 0;
    let mut step = k.saturating_mul(size).saturating_mul(2).max(64);
    while if by.strict { full < k } else { counts.len() < k } {
        let items = ranking.next(step)?;
        if items.is_empty() {
            break;
        }
        for hit in in_order(items) {
            let group = groups.of(hit.row)?;
            if only.is_some_and(|only| !only.contains(&group)) {
                continue;
            }
            if counts.len() >= k && !counts.contains_key(&group) {
                continue;
            }
            let count = counts.entry(Arc::clone(&group)).or_insert(0);
            if *count < size {
                *count += 1;
                full += usize::from(*count == size);
                found.push(Hit { group: Some(group), ..hit });
            }
        }
        step = step.saturating_mul(4);
    }
    Ok(found)
}
