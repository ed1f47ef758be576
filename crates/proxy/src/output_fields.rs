//! `output_fields`: which columns a read returns, and under which names.

use milvus_expr::{OutputField, parse_output_field};
use milvus_types::error::OrFailure as _;
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{CollectionSchema, Failure, FieldSchema, Result};

/// What a read returns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Output {
    /// The columns, each once, in the order asked for.
    pub(crate) fields: Vec<FieldSchema>,
    /// The keys that `$meta` is cut to; `None` for the whole column.
    pub(crate) dynamic_keys: Option<Vec<String>>,
    /// What to echo, each once.
    pub(crate) names: Vec<String>,
    /// Whether rows are only counted.
    pub(crate) count: bool,
}

impl Output {
    fn add(&mut self, field: &FieldSchema) {
        if !self.fields.iter().any(|known| known.name == field.name) {
            self.fields.push(field.clone());
        }
    }

    fn echo(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}

const AGGREGATES: [&str; 5] = ["count", "sum", "avg", "min", "max"];

/// `sum(price)` as `("sum", "price")`.
fn aggregate(name: &str) -> Option<(String, &str)> {
    let (function, rest) = name.split_once('(')?;
    let function = function.trim_end().to_ascii_lowercase();
    let field = rest.strip_suffix(')')?.trim();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '*';
    (AGGREGATES.contains(&&*function) && field.chars().all(word)).then_some((function, field))
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
            for field in &schema.fields {
                output.add(field);
                output.echo(&field.name);
            }
            whole_dynamic = true;
        } else if let Some((function, field)) = aggregate(name) {
            aggregated(&function, field, name, schema, for_search)?;
            output.count = true;
            output.echo(name);
        } else {
            match parse_output_field(name, schema).or_failure().map_err(invalid)? {
                OutputField::Field(id) => {
                    let field = schema.field_by_id(id).or_else(|| schema.field(name));
                    let field = field.ok_or_else(|| not_exist(name))?;
                    whole_dynamic |= field.is_dynamic;
                    output.add(field);
                }
                OutputField::DynamicKey(key) => {
                    let field = schema.field(DYNAMIC_FIELD).ok_or_else(|| not_exist(name))?;
                    output.add(field);
                    if !dynamic_keys.contains(&key) {
                        dynamic_keys.push(key);
                    }
                }
            }
            output.echo(name);
        }
    }
    if output.count && !output.fields.is_empty() {
        return Err(Failure::parameter_invalid(
            "output fields beside count(*) are not supported yet",
        ));
    }
    output.dynamic_keys = (!whole_dynamic && !dynamic_keys.is_empty()).then_some(dynamic_keys);
    Ok(output)
}

/// Refuses every aggregate but `count(*)` of a query.
fn aggregated(
    function: &str,
    field: &str,
    name: &str,
    schema: &CollectionSchema,
    for_search: bool,
) -> Result<()> {
    let refusal = match field {
        "*" if function != "count" => {
            format!("{function}(*) is not supported, only count(*) is allowed")
        }
        "*" if !for_search => return Ok(()),
        "*" => "aggregates are not supported in search request".to_owned(),
        _ if schema.field(field).is_none() => {
            format!("target field {field} for aggregation:{function} does not exist")
        }
        _ if for_search => "aggregates are not supported in search request".to_owned(),
        _ => format!("aggregation {name} is not supported yet"),
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
        assert!(read(&["count(*)"], false, false).unwrap().count);
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
                ["MAX (id)"],
                true,
                false,
                "aggregation MAX (id) is not supported yet: invalid parameter",
            ),
        ] {
            assert_eq!(read(&names, dynamic, search).unwrap_err().reason, reason);
        }
    }

    fn columns(output: &Output) -> Vec<String> {
        output.fields.iter().map(|field| field.name.clone()).collect()
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }
}
