//! Orders by scalar fields: what `order_by_fields` of a search or a query says, and comparing rows
//! by it.
//!
//! Nulls come last in ascending and first in descending order unless said otherwise; JSON paths that
//! are missing or lead to `null` count as nulls. Rows that compare equal keep the order they had.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray as _};
use milvus_expr::parse_identifier;
use milvus_types::{CollectionSchema, DataType, Failure, FieldSchema, Result};
use serde_json::Value;

use crate::cell::Cell;

/// One criterion.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrderBy {
    /// The column; the dynamic field for a dynamic key.
    pub(crate) field: FieldSchema,
    /// The keys within a JSON column, from the outside in.
    pub(crate) path: Vec<String>,
    pub(crate) ascending: bool,
    pub(crate) nulls_first: bool,
}

fn invalid<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Failure::parameter_invalid(what))
}

fn sortable(data_type: DataType) -> bool {
    data_type == DataType::Bool
        || data_type.is_numeric()
        || matches!(data_type, DataType::String | DataType::VarChar)
}

/// The entries of a comma-separated list, without blanks around them.
pub(crate) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// Reads `order_by_fields` of a search: fields, JSON paths and dynamic keys.
pub(crate) fn parse_for_search(text: &str, schema: &CollectionSchema) -> Result<Vec<OrderBy>> {
    list(text).map(|entry| search_entry(entry, schema)).collect()
}

fn search_entry(entry: &str, schema: &CollectionSchema) -> Result<OrderBy> {
    let options = options(entry);
    if options.len() > 3 {
        return invalid(format!("too many order_by field options in '{entry}'"));
    }
    let name = options.first().copied().unwrap_or_default();
    if name.is_empty() {
        return invalid("empty field name in order_by_fields");
    }
    let direction = options.get(1).copied().unwrap_or_default();
    let ascending = match direction.to_lowercase().as_str() {
        "" | "asc" | "ascending" => true,
        "desc" | "descending" => false,
        _ => {
            return invalid(format!(
                "invalid order direction '{direction}' for field '{name}', expected 'asc' or 'desc'"
            ));
        }
    };
    let nulls = options.get(2).copied().unwrap_or_default();
    let nulls_first = match nulls.to_lowercase().as_str() {
        "" => !ascending,
        "nulls_first" => true,
        "nulls_last" => false,
        _ => {
            return invalid(format!(
                "invalid null ordering '{nulls}', expected 'nulls_first' or 'nulls_last'"
            ));
        }
    };
    let (field, path) = target(name, schema)?;
    Ok(OrderBy { field, path, ascending, nulls_first })
}

/// `field[..]:direction:nulls` at its colons outside of brackets.
fn options(entry: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let parts = entry.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ':' && depth == 0
    });
    parts.map(str::trim).collect()
}

fn target(name: &str, schema: &CollectionSchema) -> Result<(FieldSchema, Vec<String>)> {
    let brackets = name.contains('[') && name.contains(']');
    let base = if brackets { name.split('[').next().unwrap_or_default() } else { name };
    let dynamic = schema.dynamic_field();
    let path = |field: &FieldSchema, what: &str| match parse_identifier(name, schema) {
        Ok(found) if found.field == field.id => Ok((field.clone(), found.path)),
        Ok(_) => invalid(format!("invalid {what} '{name}': it names another field")),
        Err(error) => invalid(format!("invalid {what} '{name}': {error}")),
    };
    match (schema.field(base), dynamic) {
        (Some(field), _) if brackets && field.data_type == DataType::JSON => {
            path(field, "JSON path in order_by field")
        }
        (Some(_), _) if brackets => {
            invalid(format!("order_by field '{name}' has brackets but is not a JSON type"))
        }
        (Some(field), _) if sortable(field.data_type) => Ok((field.clone(), Vec::new())),
        (Some(field), _) => invalid(format!(
            "order_by field '{name}' has unsortable type {}; supported types: bool, \
             int8/16/32/64, float, double, string, varchar; for JSON fields use path syntax like \
             field[\"key\"]",
            field.data_type
        )),
        (None, Some(field)) if brackets => path(field, "JSON path in order_by field"),
        (None, Some(field)) => path(field, "dynamic field key"),
        (None, None) if brackets => invalid(format!(
            "order_by field '{base}' not found in schema and no dynamic field available"
        )),
        (None, None) => {
            invalid(format!("order_by field '{name}' does not exist in collection schema"))
        }
    }
}

/// Reads `order_by_fields` of a query: plain fields only.
pub(crate) fn parse_for_query(text: &str, schema: &CollectionSchema) -> Result<Vec<OrderBy>> {
    list(text).map(|entry| query_entry(entry, schema)).collect()
}

fn query_entry(entry: &str, schema: &CollectionSchema) -> Result<OrderBy> {
    let mut parts = entry.split(':').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let direction = parts.next().unwrap_or_default().to_lowercase();
    let ascending = match direction.as_str() {
        "" | "asc" | "ascending" => true,
        "desc" | "descending" => false,
        _ => {
            return invalid(format!(
                "invalid order direction '{direction}' for field '{name}', must be 'asc' or 'desc'"
            ));
        }
    };
    let nulls = parts.next().map(str::to_lowercase);
    let nulls_first = match nulls.as_deref() {
        None => !ascending,
        Some("nulls_first") => true,
        Some("nulls_last") => false,
        Some(nulls) => {
            return invalid(format!(
                "invalid null ordering '{nulls}', must be 'nulls_first' or 'nulls_last'"
            ));
        }
    };
    match schema.field(name).filter(|field| !field.is_dynamic) {
        None => invalid(format!("order_by field '{name}' does not exist in collection schema")),
        Some(field) if !sortable(field.data_type) => invalid(format!(
            "order_by field '{name}' has type {} which is not sortable",
            field.data_type
        )),
        Some(field) => {
            let (field, path) = (field.clone(), Vec::new());
            Ok(OrderBy { field, path, ascending, nulls_first })
        }
    }
}

/// The columns of the criteria for some rows, ready to compare those rows.
pub(crate) struct Sorter {
    criteria: Vec<(OrderBy, Values)>,
}

enum Values {
    Column(ArrayRef),
    Json(Vec<Value>),
}

impl Sorter {
    /// `columns[i]` belongs to criterion `i`.
    pub(crate) fn new(order: &[OrderBy], columns: &[ArrayRef]) -> Self {
        let criteria = order.iter().zip(columns).map(|(criterion, column)| {
            let values = if criterion.path.is_empty() {
                Values::Column(std::sync::Arc::clone(column))
            } else {
                Values::Json(at_path(column, &criterion.path))
            };
            (criterion.clone(), values)
        });
        Self { criteria: criteria.collect() }
    }

    /// Which of two rows comes first.
    pub(crate) fn compare(&self, a: usize, b: usize) -> Ordering {
        let by = |(criterion, values): &(OrderBy, Values)| match values {
            Values::Column(column) => {
                let (a, b) = (Cell::of(column, a), Cell::of(column, b));
                let natural = a.compare(&b);
                directed(criterion, a.is_null(), b.is_null(), natural)
            }
            Values::Json(values) => {
                let null = &Value::Null;
                let (a, b) = (values.get(a).unwrap_or(null), values.get(b).unwrap_or(null));
                directed(criterion, a.is_null(), b.is_null(), compare_json(a, b))
            }
        };
        self.criteria.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

fn directed(by: &OrderBy, a_null: bool, b_null: bool, natural: Ordering) -> Ordering {
    match (a_null, b_null) {
        (true, true) => Ordering::Equal,
        (true, false) if by.nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if by.nulls_first => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) if by.ascending => natural,
        (false, false) => natural.reverse(),
    }
}

/// What lies at `path` in each row of a JSON column, null where nothing does.
fn at_path(column: &ArrayRef, path: &[String]) -> Vec<Value> {
    let Some(texts) = column.as_string_opt::<i32>() else {
        return vec![Value::Null; column.len()];
    };
    let value = |text: Option<&str>| {
        let whole = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        whole.and_then(|mut whole| pointer(&mut whole, path).map(Value::take)).unwrap_or_default()
    };
    texts.iter().map(value).collect()
}

fn pointer<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Object(object) => object.get_mut(step),
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// Values of one type by value, of different types by their text.
fn compare_json(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let number = |n: &serde_json::Number| n.as_f64().unwrap_or(f64::NAN);
            match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => number(a).total_cmp(&number(b)),
            }
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (a, b) => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use milvus_types::FieldId;

    use super::*;

    fn schema(dynamic: bool) -> CollectionSchema {
        let field = |id, name: &str, data_type| FieldSchema {
            id: FieldId(id),
            name: name.to_owned(),
            data_type,
            ..FieldSchema::default()
        };
        let mut fields = vec![
            field(100, "price", DataType::Int64),
            field(101, "v", DataType::FloatVector),
            field(102, "json", DataType::JSON),
        ];
        if dynamic {
            let meta = field(103, "$meta", DataType::JSON);
            fields.push(FieldSchema { is_dynamic: true, ..meta });
        }
        CollectionSchema { fields, enable_dynamic_field: dynamic, ..CollectionSchema::default() }
    }

    #[test]
    fn criteria_of_a_search() {
        let read = |text| parse_for_search(text, &schema(true)).unwrap();
        let order = read(r#"price:desc, json["a"]["b"], color:asc:nulls_first"#);
        let parts: Vec<_> = order
            .iter()
            .map(|by| (by.field.name.as_str(), by.path.join("/"), by.ascending, by.nulls_first))
            .collect();
        assert_eq!(
            parts,
            [
                ("price", String::new(), false, true),
                ("json", "a/b".to_owned(), true, false),
                ("$meta", "color".to_owned(), true, true),
            ]
        );
        for (text, reason) in [
            ("nope", "order_by field 'nope' does not exist in collection schema"),
            (
                "price:up",
                "invalid order direction 'up' for field 'price', expected 'asc' or 'desc'",
            ),
            ("json[invalid:asc", "order_by field 'json[invalid:asc' does not exist"),
            ("v", "order_by field 'v' has unsortable type FloatVector; supported types: bool,"),
            ("price:asc:first", "invalid null ordering 'first', expected 'nulls_first'"),
        ] {
            let error = parse_for_search(text, &schema(false)).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn criteria_of_a_query() {
        let read = |text| parse_for_query(text, &schema(true));
        assert_eq!(read("price: DESC : nulls_last").unwrap().len(), 1);
        for (text, reason) in [
            ("v", "order_by field 'v' has type FloatVector which is not sortable"),
            ("color", "order_by field 'color' does not exist in collection schema"),
            (":asc", "order_by field '' does not exist in collection schema"),
            ("price:up", "invalid order direction 'up' for field 'price', must be 'asc' or 'desc'"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn rows_are_ordered_with_nulls_where_they_belong() {
        let sorted = |order: &str, column: ArrayRef| {
            let order = parse_for_search(order, &schema(true)).unwrap();
            let mut rows: Vec<usize> = (0..column.len()).collect();
            let sorter = Sorter::new(&order, &[column]);
            rows.sort_by(|a, b| sorter.compare(*a, *b));
            rows
        };
        let prices =
            || Arc::new(Int64Array::from(vec![Some(5), None, Some(1), Some(5)])) as ArrayRef;
        assert_eq!(sorted("price", prices()), [2, 0, 3, 1]);
        assert_eq!(sorted("price:desc", prices()), [1, 0, 3, 2]);
        assert_eq!(sorted("price:desc:nulls_last", prices()), [0, 3, 2, 1]);
        let json = Arc::new(StringArray::from(vec![
            Some(r#"{"a": 2.5}"#),
            Some(r#"{"a": null}"#),
            Some(r#"{"a": 10}"#),
            None,
        ]));
        assert_eq!(sorted(r#"json["a"]:desc"#, json), [1, 3, 2, 0]);
    }
}
