//! `output_fields`: which columns a read returns, and under which names.
//!
//! `*` is every field, a struct array's name all its sub-fields. With a dynamic field unknown names
//! are its keys; without one they are errors. Of a query, aggregates may be asked for instead.

use milvus_expr::{OutputField, parse_output_field};
use milvus_types::error::OrFailure as _;
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{CollectionSchema, Failure, FieldSchema, Result};

use crate::metric::Op;

/// What a read returns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Output {
    /// The columns, each once, in the order asked for.
    pub(crate) fields: Vec<FieldSchema>,
    /// The keys that `$meta` is cut to; `None` for the whole column.
    pub(crate) dynamic_keys: Option<Vec<String>>,
    /// What to echo, each once.
    pub(crate) names: Vec<String>,
    /// The aggregates.
    pub(crate) aggregates: Vec<Aggregate>,
}

/// An aggregate over rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) op: Op,
    /// The column; `None` to count rows.
    pub(crate) field: Option<FieldSchema>,
    /// As it was asked for.
    pub(crate) name: String,
}

impl Output {
    /// Adds a column unless it is there.
    pub(crate) fn add(&mut self, field: &FieldSchema) {
        if !self.fields.iter().any(|known| known.name == field.name) {
            self.fields.push(field.clone());
        }
    }

    fn echo(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    fn add_and_echo(&mut self, field: &FieldSchema) {
        self.add(field);
        // A sub-field comes back within its struct array.
        self.echo(field.struct_name().map_or(field.name.as_str(), |(owner, _)| owner));
    }
}

/// `sum(price)` as the operation and `price`.
pub(crate) fn aggregate(name: &str) -> Option<(Op, &str)> {
    let (function, rest) = name.split_once('(')?;
    let op = Op::parse(function.trim_end())?;
    let field = rest.strip_suffix(')')?.trim();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '*';
    field.chars().all(word).then_some((op, field))
}

/// Reads the `output_fields` of a search (`for_search`) or a query.
pub(crate) fn parse(
    output_fields: &[String],
    schema: &CollectionSchema,
    for_search: bool,
) -> Result<Output> {
    let mut output = Output::default();
    let mut dynamic_keys = Vec::new();
    let mut whole_dynamic = false;
    for name in output_fields {
        let name = name.trim();
        if name == "*" {
            schema.fields.iter().for_each(|field| output.add_and_echo(field));
            whole_dynamic = true;
        } else if let Some((op, field)) = aggregate(name) {
            output.aggregates.push(aggregated(op, field, name, schema)?);
            output.echo(name);
        } else if schema.struct_field(name).is_some() {
            schema.sub_fields(name).for_each(|field| output.add_and_echo(field));
        } else {
            match parse_output_field(name, schema).or_failure().map_err(invalid)? {
                OutputField::Field(id) => {
                    let field = schema.field_by_id(id).or_else(|| schema.field(name));
                    let field = field.ok_or_else(|| not_exist(name))?;
                    whole_dynamic |= field.is_dynamic;
                    output.add_and_echo(field);
                }
                OutputField::DynamicKey(key) => {
                    let field = schema.field(DYNAMIC_FIELD).ok_or_else(|| not_exist(name))?;
                    output.add(field);
                    output.echo(name);
                    if !dynamic_keys.contains(&key) {
                        dynamic_keys.push(key);
                    }
                }
            }
        }
    }
    if for_search && !output.aggregates.is_empty() {
        return Err(Failure::parameter_invalid("aggregates are not supported in search request"));
    }
    output.dynamic_keys = (!whole_dynamic && !dynamic_keys.is_empty()).then_some(dynamic_keys);
    Ok(output)
}

fn aggregated(op: Op, field: &str, name: &str, schema: &CollectionSchema) -> Result<Aggregate> {
    let function = op.name();
    let refusal = match (schema.field(field), field) {
        (Some(field), _) => {
            op.check(field.data_type)?;
            return Ok(Aggregate { op, field: Some(field.clone()), name: name.to_owned() });
        }
        (None, "*") if op == Op::Count => {
            return Ok(Aggregate { op, field: None, name: name.to_owned() });
        }
        (None, "*") => format!("{function}(*) is not supported, only count(*) is allowed"),
        (None, _) => format!("target field {field} for aggregation:{function} does not exist"),
    };
    Err(Failure::parameter_invalid(refusal))
}

fn not_exist(name: &str) -> Failure {
    Failure::parameter_invalid(format!("field {name} not exist"))
}

fn invalid(failure: Failure) -> Failure {
    Failure::wrap(failure.code, failure.reason)
}

#[cfg(test)]
mod tests {
    use milvus_types::{DataType, FieldId};

    use super::*;

    fn schema(dynamic: bool) -> CollectionSchema {
        let field = |id, name: &str, data_type| FieldSchema {
            id: FieldId(id),
            name: name.to_owned(),
            data_type,
            ..FieldSchema::default()
        };
        let mut fields = vec![
            FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) },
            field(101, "v", DataType::FloatVector),
            field(102, "json", DataType::JSON),
        ];
        if dynamic {
            fields.push(FieldSchema {
                is_dynamic: true,
                nullable: true,
                ..field(103, DYNAMIC_FIELD, DataType::JSON)
            });
        }
        CollectionSchema { enable_dynamic_field: dynamic, fields, ..CollectionSchema::default() }
    }

    fn read(names: &[&str], dynamic: bool, search: bool) -> Result<Output> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        parse(&names, &schema(dynamic), search)
    }

    #[test]
    fn fields_dynamic_keys_and_everything() {
        let output = read(&["v", " id", "v"], true, true).unwrap();
        assert_eq!(
            (columns(&output), output.names),
            (strings(&["v", "id"]), strings(&["v", "id"]))
        );
        let output = read(&["color", "$meta[\"size\"]"], true, true).unwrap();
        assert_eq!(columns(&output), strings(&["$meta"]));
        assert_eq!(output.dynamic_keys, Some(strings(&["color", "size"])));
        assert_eq!(output.names, strings(&["color", "$meta[\"size\"]"]));
        let output = read(&["*", "color"], true, false).unwrap();
        assert_eq!(columns(&output), strings(&["id", "v", "json", "$meta"]));
        assert_eq!(output.dynamic_keys, None);
        assert_eq!(read(&["$meta"], true, false).unwrap().dynamic_keys, None);
        let output = read(&["count(*)", "MAX (id)"], false, false).unwrap();
        let parts: Vec<_> = output.aggregates.iter().map(|one| (one.op, &*one.name)).collect();
        assert_eq!(parts, [(Op::Count, "count(*)"), (Op::Max, "MAX (id)")]);
    }

    #[test]
    fn what_cannot_be_returned_is_named() {
        for (names, dynamic, search, reason) in [
            (["nope"], false, true, "field nope not exist: invalid parameter"),
            (["%^#"], true, true, "parse output field name failed: %^#: invalid parameter"),
            (
                ["count(*)"],
                true,
                true,
                "aggregates are not supported in search request: invalid parameter",
            ),
            (
                ["sum(*)"],
                true,
                false,
                "sum(*) is not supported, only count(*) is allowed: invalid parameter",
            ),
            (
                ["max(nope)"],
                true,
                false,
                "target field nope for aggregation:max does not exist: invalid parameter",
            ),
            (
                ["sum(v)"],
                true,
                false,
                "aggregation operator sum does not support data type FloatVector: invalid parameter",
            ),
        ] {
            assert_eq!(read(&names, dynamic, search).unwrap_err().reason, reason);
        }
    }

    #[test]
    fn struct_arrays_come_whole_or_in_parts() {
        let mut schema = schema(false);
        schema
            .struct_fields
            .push(milvus_types::schema::StructField { name: "s".to_owned(), ..Default::default() });
        for (id, sub) in [(110, "s[a]"), (111, "s[v]")] {
            schema.fields.push(FieldSchema {
                id: FieldId(id),
                name: sub.to_owned(),
                data_type: DataType::Array,
                ..FieldSchema::default()
            });
        }
        let read = |name: &str| parse(&[name.to_owned()], &schema, true).unwrap();
        assert_eq!(
            (columns(&read("s")), read("s").names),
            (strings(&["s[a]", "s[v]"]), strings(&["s"]))
        );
        assert_eq!(
            (columns(&read("s[v]")), read("s[v]").names),
            (strings(&["s[v]"]), strings(&["s"]))
        );
    }

    fn columns(output: &Output) -> Vec<String> {
        output.fields.iter().map(|field| field.name.clone()).collect()
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }
}
