//! Group by of a search: what the parameters say, and which values make a group.

use milvus_expr::parse_identifier;
use milvus_types::error::OrFailure as _;
use milvus_types::{CollectionSchema, DataType, ErrorCode, Failure, FieldSchema, KeyValue, Result};

use crate::order_by::list;
use crate::wire_text::{param, parse_bool, parse_int};

/// `quotaAndLimits.limits.maxGroupSize`.
const MAX_GROUP_SIZE: i64 = 10;
/// Fields that may make a group.
const MAX_FIELDS: usize = 10;

/// How hits are grouped: one group for each combination of values, null being one too.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grouping {
    pub(crate) fields: Vec<GroupField>,
    /// Rows of a group.
    pub(crate) size: usize,
    /// Whether to look further until groups are full.
    pub(crate) strict: bool,
    /// Whether the older name was used, to which the reply must answer.
    pub(crate) legacy: bool,
}

/// One field whose values make groups.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupField {
    /// The field; the dynamic field for a dynamic key.
    pub(crate) field: FieldSchema,
    /// The keys within a JSON field, from the outside in.
    pub(crate) path: Vec<String>,
    /// What values within a JSON field are read as; `None` for their text.
    pub(crate) json_type: Option<DataType>,
    /// Whether JSON values of another type are null rather than converted.
    pub(crate) strict_cast: bool,
}

impl GroupField {
    /// The type of the group's values.
    pub(crate) fn data_type(&self) -> DataType {
        if self.field.data_type == DataType::JSON {
            self.json_type.unwrap_or(DataType::VarChar)
        } else {
            self.field.data_type
        }
    }
}

/// Reads the group by of a search's or a hybrid search's parameters.
pub(crate) fn parse(params: &[KeyValue], schema: &CollectionSchema) -> Result<Option<Grouping>> {
    let given = |key| param(params, key).filter(|value| !value.is_empty());
    let names: Vec<&str> = match given("group_by_field") {
        Some(name) => vec![name],
        None => list(given("group_by_fields").unwrap_or_default()).collect(),
    };
    let mut fields = Vec::with_capacity(names.len());
    for name in &names {
        let (field, identifier) = field(name, schema)?;
        if identifier.is_some() && names.len() > 1 {
            return Err(Failure::parameter_invalid(format!(
                "group_by with json path is not supported for multi-field group_by, field:{name}"
            )));
        }
        fields.push((field, identifier.map(str::to_owned)));
    }
    let size = size(param(params, "group_size"))?;
    let flag = |key| param(params, key).and_then(parse_bool).unwrap_or(false);
    if fields.is_empty() {
        return Ok(None);
    }
    if fields.len() > MAX_FIELDS {
        return Err(Failure::parameter_invalid(format!(
            "too many group_by fields: {} (max allowed: {MAX_FIELDS})",
            fields.len()
        )));
    }
    if let Some(path) = param(params, "json_path") {
        fields[0].1 = Some(path.to_owned()).filter(|path| !path.is_empty());
    }
    let json_type = param(params, "json_type").and_then(json_type);
    let strict_cast = flag("strict_cast");
    let fields: Vec<GroupField> = fields
        .into_iter()
        .map(|(field, identifier)| {
            let path = identifier.map_or(Ok(Vec::new()), |text| path(&text, &field, schema))?;
            Ok(GroupField { field, path, json_type, strict_cast })
        })
        .collect::<Result<_>>()?;
    for (at, one) in fields.iter().enumerate() {
        if fields[..at].iter().any(|other| other.field.id == one.field.id) {
            return Err(Failure::parameter_invalid(format!(
                "duplicate group_by field id {} in group_by_field_ids",
                one.field.id
            )));
        }
    }
    Ok(Some(Grouping {
        fields,
        size,
        strict: flag("strict_group_size"),
        legacy: param(params, "group_by_field").is_some()
            && param(params, "group_by_fields").is_none(),
    }))
}

/// The field that `name` means, and the identifier of the value within it if it is not the whole.
fn field<'n>(name: &'n str, schema: &CollectionSchema) -> Result<(FieldSchema, Option<&'n str>)> {
    let brackets = name.contains('[') && name.contains(']');
    let base = if brackets { name.split('[').next().unwrap_or_default() } else { name };
    match (schema.field(name).or_else(|| schema.field(base)), schema.dynamic_field()) {
        (Some(field), _) if brackets && field.data_type == DataType::JSON => {
            Ok((field.clone(), Some(name)))
        }
        (Some(field), _) => Ok((field.clone(), None)),
        (None, Some(dynamic)) => Ok((dynamic.clone(), Some(name))),
        (None, None) => {
            let not_found = Failure::with_fields(ErrorCode::FieldNotFound, &[("field", &name)]);
            Err(not_found.context("groupBy field not found in schema"))
        }
    }
}

fn size(text: Option<&str>) -> Result<usize> {
    let Some(text) = text else {
        return Ok(1);
    };
    let refusal = match parse_int(text) {
        None => format!("failed to parse input group size:{text}"),
        Some(size) if size <= 0 => {
            format!("input group size:{size} is negative, failed to do search_groupby")
        }
        Some(size) if size > MAX_GROUP_SIZE => {
            format!("input group size:{size} exceeds configured max group size:{MAX_GROUP_SIZE}")
        }
        Some(size) => return Ok(usize::try_from(size).unwrap_or(1)),
    };
    Err(Failure::parameter_invalid(refusal))
}

fn json_type(name: &str) -> Option<DataType> {
    DataType::ALL.iter().copied().find(|data_type| data_type.name() == name)
}

fn path(text: &str, field: &FieldSchema, schema: &CollectionSchema) -> Result<Vec<String>> {
    let found = parse_identifier(text, schema).or_failure()?;
    if found.field != field.id {
        return Err(Failure::parameter_invalid("fieldID not match with field name"));
    }
    Ok(found.path)
}

/// Refuses fields whose values do not make groups.
pub(crate) fn check_types(grouping: &Grouping) -> Result<()> {
    for group in &grouping.fields {
        let data_type = group.field.data_type;
        if data_type == DataType::JSON {
            let known =
                |t: DataType| t.is_integer() || matches!(t, DataType::Bool | DataType::VarChar);
            if let Some(unknown) = group.json_type.filter(|json_type| !known(*json_type)) {
                return Err(Failure::parameter_invalid(format!(
                    "unsupported json_type {} for JSON group by",
                    engine_name(unknown)
                )));
            }
            continue;
        }
        let groups = data_type.is_integer()
            || matches!(data_type, DataType::Bool | DataType::VarChar | DataType::Timestamptz);
        if !groups {
            return Err(Failure::parameter_invalid(format!(
                "unsupported data type {} for group by operator",
                engine_name(data_type)
            )));
        }
    }
    Ok(())
}

/// The name Milvus's engine prints: `FLOAT`, `VECTOR_FLOAT`.
pub(crate) fn engine_name(data_type: DataType) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are their upper-case names")]
    match data_type {
        DataType::BinaryVector => "VECTOR_BINARY".to_owned(),
        DataType::FloatVector => "VECTOR_FLOAT".to_owned(),
        DataType::Float16Vector => "VECTOR_FLOAT16".to_owned(),
        DataType::BFloat16Vector => "VECTOR_BFLOAT16".to_owned(),
        DataType::SparseFloatVector => "VECTOR_SPARSE_U32_F32".to_owned(),
        DataType::Int8Vector => "VECTOR_INT8".to_owned(),
        DataType::ArrayOfVector => "VECTOR_ARRAY".to_owned(),
        other => other.name().to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
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
            field(100, "a", DataType::Int64),
            field(101, "b", DataType::VarChar),
            field(102, "f", DataType::Float),
            field(103, "j", DataType::JSON),
        ];
        if dynamic {
            let meta = field(104, "$meta", DataType::JSON);
            fields.push(FieldSchema { is_dynamic: true, ..meta });
        }
        CollectionSchema { fields, enable_dynamic_field: dynamic, ..CollectionSchema::default() }
    }

    fn read(params: &[(&str, &str)], dynamic: bool) -> Result<Option<Grouping>> {
        let pairs: Vec<_> = params.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
        let grouping = parse(&pairs, &schema(dynamic))?;
        grouping.as_ref().map_or(Ok(()), check_types)?;
        Ok(grouping)
    }

    #[test]
    fn fields_paths_and_sizes() {
        assert_eq!(read(&[("group_size", "3")], false).unwrap(), None);
        let one = read(&[("group_by_field", "a"), ("group_size", "3")], false).unwrap().unwrap();
        assert_eq!((one.size, one.strict, one.legacy, one.fields.len()), (3, false, true, 1));
        let params = [("group_by_fields", "a, b"), ("strict_group_size", "True")];
        let two = read(&params, false).unwrap().unwrap();
        assert_eq!((two.strict, two.legacy, two.fields.len()), (true, false, 2));
        let params = [("group_by_field", r#"j["x"]["y"]"#), ("json_type", "Int32")];
        let json = read(&params, false).unwrap().unwrap();
        assert_eq!(json.fields[0].path, ["x", "y"]);
        assert_eq!(json.fields[0].data_type(), DataType::Int32);
        let key = read(&[("group_by_field", "color")], true).unwrap().unwrap();
        assert_eq!(key.fields[0].path, ["color"]);
        let params = [("group_by_field", "j"), ("json_path", r#"j["k"]"#)];
        assert_eq!(read(&params, false).unwrap().unwrap().fields[0].path, ["k"]);
    }

    #[test]
    fn unsound_groupings_are_refused_with_milvus_texts() {
        for (params, dynamic, reason) in [
            (
                &[("group_by_field", "nope")][..],
                false,
                "groupBy field not found in schema: field not found[field=nope]",
            ),
            (&[("group_size", "0")], false, "input group size:0 is negative"),
            (
                &[("group_size", "11")],
                false,
                "input group size:11 exceeds configured max group size:10",
            ),
            (
                &[("group_by_field", "f")],
                false,
                "unsupported data type FLOAT for group by operator",
            ),
            (&[("group_by_field", "21")], true, "cannot parse identifier: 21"),
            (&[("group_by_fields", "a,color")], true, "group_by with json path is not supported"),
        ] {
            let error = read(params, dynamic).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
    }
}
