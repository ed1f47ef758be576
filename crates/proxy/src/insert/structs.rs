//! Struct arrays: a column of structs becomes one column for each sub-field, called `struct[sub]`.
//!
//! Within a row every sub-field has as many elements as the others, and is null where they are.

use std::collections::HashSet;

use arrow::array::AsArray as _;
use milvus_types::schema::sub_field_name;
use milvus_types::{CollectionSchema, DataType, Failure, FieldSchema, Result, StructField};

use super::vectors::row_bytes;
use crate::api::{InputColumn, InputValues};

/// The columns with those of structs in the place of the structs.
pub(crate) fn flatten(
    schema: &CollectionSchema,
    columns: Vec<InputColumn>,
) -> Result<Vec<InputColumn>> {
    let mut flat = Vec::with_capacity(columns.len());
    let mut seen: HashSet<String> = HashSet::new();
    for column in columns {
        let known = schema.field(&column.name).is_some_and(|field| field.struct_name().is_none());
        if known {
            flat.push(column);
            continue;
        }
        let Some(owner) = schema.struct_field(&column.name) else {
            let data_type = column.data_type.map_or("None", DataType::name);
            return Err(Failure::parameter_invalid(format!(
                "fieldName {} not exist in collection schema, fieldType {data_type}, fieldId 0",
                column.name
            )));
        };
        let InputValues::Structs(parts) = column.values else {
            return Err(Failure::parameter_invalid(format!(
                "field convert FieldData_StructArrays fail in fieldData, fieldName: {}, \
                 collectionName:{}",
                owner.name, schema.name
            )));
        };
        seen.insert(column.name);
        flat.extend(sub_columns(schema, owner, parts)?);
    }
    let missing =
        schema.struct_fields.iter().find(|owner| !owner.nullable && !seen.contains(&owner.name));
    match missing {
        None => Ok(flat),
        Some(owner) => Err(Failure::parameter_invalid(format!(
            "required struct array field '{}' is missing in insert data",
            owner.name
        ))),
    }
}

fn sub_columns(
    schema: &CollectionSchema,
    owner: &StructField,
    parts: Vec<InputColumn>,
) -> Result<Vec<InputColumn>> {
    let name = &owner.name;
    let fields: Vec<&FieldSchema> = schema.sub_fields(name).collect();
    if parts.len() != fields.len() {
        return Err(Failure::parameter_invalid(format!(
            "length of fields of struct field mismatch length of the fields in schema, fieldName: \
             {name}, collectionName:{}, fieldData fields length:{}, schema fields length:{}",
            schema.name,
            parts.len(),
            fields.len()
        )));
    }
    let has_data = |part: &&InputColumn| !matches!(part.values, InputValues::Missing);
    let with_data = parts.iter().filter(has_data).count();
    if with_data == 0 {
        // As if the struct had been left out.
        return without_data(name, &parts).map(|()| Vec::new());
    }
    if with_data != parts.len() {
        return Err(Failure::parameter_invalid(format!(
            "inconsistent sub-field data in struct '{name}': {with_data} of {} sub-fields have \
             data, all must be present or all absent",
            parts.len()
        )));
    }
    if owner.nullable {
        same_nulls(name, &parts)?;
    }
    let mut flat = Vec::with_capacity(parts.len());
    let mut counted = Vec::with_capacity(parts.len());
    for part in parts {
        let column = sub_field_name(name, own_name(name, &part.name));
        let Some(field) = fields.iter().find(|field| field.name == column) else {
            return Err(Failure::parameter_invalid(format!(
                "sub-field '{}' not found in struct schema '{name}'",
                part.name
            )));
        };
        counted.push(Counted { name: part.name.clone(), counts: counts(name, field, &part)? });
        flat.push(InputColumn { name: column, ..part });
    }
    let valid = flat.first().map_or(&[][..], |column| &column.valid);
    same_counts(name, &counted, valid)?;
    Ok(flat)
}

/// The sub-field's own name, which newer clients write as `struct[sub]`.
fn own_name<'n>(owner: &str, name: &'n str) -> &'n str {
    let within = name.strip_prefix(owner).and_then(|rest| rest.strip_prefix('['));
    within.and_then(|rest| rest.strip_suffix(']')).unwrap_or(name)
}

fn without_data(owner: &str, parts: &[InputColumn]) -> Result<()> {
    for part in parts {
        if let Some(row) = part.valid.iter().position(|valid| *valid) {
            return Err(Failure::parameter_invalid(format!(
                "sub-field '{}' in struct '{owner}' claims row {row} is valid but no payload is \
                 provided",
                part.name
            )));
        }
    }
    Ok(())
}

fn same_nulls(owner: &str, parts: &[InputColumn]) -> Result<()> {
    let Some((first, others)) = parts.split_first() else { return Ok(()) };
    for part in others {
        if part.valid.len() != first.valid.len() {
            return Err(Failure::parameter_invalid(format!(
                "sub-field ValidData length mismatch in struct '{owner}': '{}' has {}, '{}' has {}",
                first.name,
                first.valid.len(),
                part.name,
                part.valid.len()
            )));
        }
        let other = first.valid.iter().zip(&part.valid).enumerate().find(|(_, (a, b))| a != b);
        if let Some((row, (a, b))) = other {
            return Err(Failure::parameter_invalid(format!(
                "sub-field ValidData mismatch in struct '{owner}' at row {row}: '{}'={a}, '{}'={b}",
                first.name, part.name
            )));
        }
    }
    Ok(())
}

struct Counted {
    name: String,
    /// Elements of each row that is there.
    counts: Vec<usize>,
}

fn counts(owner: &str, field: &FieldSchema, part: &InputColumn) -> Result<Vec<usize>> {
    let of_row = |row: usize, what: String| {
        Failure::parameter_invalid(what)
            .context(format!("struct '{owner}' row {row} sub-field '{}'", part.name))
    };
    match &part.values {
        InputValues::Arrays(arrays) => {
            let lists = arrays.lists.as_list_opt::<i32>();
            let counts: Vec<usize> =
                lists.map_or_else(Vec::new, |lists| lists.offsets().lengths().collect());
            match arrays.odd.as_deref() {
                Some("nil") => Err(of_row(counts.len(), "nil array data".to_owned())),
                _ => Ok(counts),
            }
        }
        InputValues::VectorLists(lists) => {
            if lists.odd && lists.kind.is_none() {
                return Err(of_row(lists.lengths.len(), "nil vector array data".to_owned()));
            }
            let width = width(owner, field, part)?;
            let count = |(row, bytes): (usize, &usize)| {
                if bytes.is_multiple_of(width) {
                    return Ok(bytes / width);
                }
                let what =
                    format!("payload length {bytes} is not divisible by vector width {width}");
                Err(of_row(row, what))
            };
            lists.lengths.iter().enumerate().map(count).collect()
        }
        InputValues::Unsupported { .. }
        | InputValues::Missing
        | InputValues::Scalars(_)
        | InputValues::Vectors(_)
        | InputValues::SparseVectors(_)
        | InputValues::Structs(_)
        | InputValues::Stored(_) => {
            let kind = if field.data_type == DataType::Array { "scalar" } else { "vector" };
            Err(Failure::parameter_invalid(format!(
                "{kind} array data is nil in struct field '{owner}', sub-field '{}'",
                part.name
            )))
        }
    }
}

fn width(owner: &str, field: &FieldSchema, part: &InputColumn) -> Result<usize> {
    let dim = field.dim().unwrap_or(0);
    let element = field.element_type.unwrap_or(DataType::FloatVector);
    row_bytes(element, dim).filter(|width| *width > 0).ok_or_else(|| {
        Failure::parameter_invalid(format!(
            "sub-field '{}' in struct '{owner}': invalid dim {dim}",
            part.name
        ))
    })
}

/// `valid` maps the values that are there to rows, for the messages.
fn same_counts(owner: &str, parts: &[Counted], valid: &[bool]) -> Result<()> {
    let Some((first, others)) = parts.split_first() else { return Ok(()) };
    let rows = first.counts.len();
    for part in others {
        if part.counts.len() != rows {
            return Err(Failure::parameter_invalid(format!(
                "inconsistent array length in struct field '{owner}': expected {rows}, got {} for \
                 sub-field '{}'",
                part.counts.len(),
                part.name
            )));
        }
    }
    if others.is_empty() || rows == 0 {
        return Ok(());
    }
    let present = valid.iter().filter(|valid| **valid).count();
    if !valid.is_empty() && present != rows {
        return Err(Failure::parameter_invalid(format!(
            "invalid ValidData for struct '{owner}': true count {present} does not match payload \
             row count {rows}"
        )));
    }
    for part in others {
        let pairs = first.counts.iter().zip(&part.counts).enumerate();
        if let Some((at, (a, b))) = pairs.into_iter().find(|(_, (a, b))| a != b) {
            let mut present = (0..valid.len()).filter(|row| valid.get(*row) == Some(&true));
            let row = present.nth(at).unwrap_or(at);
            return Err(Failure::parameter_invalid(format!(
                "inconsistent struct element count in struct '{owner}' at row {row}: '{}' has {a}, \
                 '{}' has {b}",
                first.name, part.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ListArray;
    use arrow::buffer::Buffer;
    use arrow::datatypes::Int64Type;
    use milvus_types::KeyValue;

    use super::*;
    use crate::api::{InputArrays, InputVectorLists};

    fn schema(nullable: bool) -> CollectionSchema {
        let sub = |name: &str, data_type, element| FieldSchema {
            name: format!("s[{name}]"),
            data_type,
            element_type: Some(element),
            nullable,
            type_params: vec![KeyValue::new("dim", "2"), KeyValue::new("max_capacity", "4")],
            ..FieldSchema::default()
        };
        CollectionSchema {
            name: "c".to_owned(),
            fields: vec![
                FieldSchema { name: "id".to_owned(), ..FieldSchema::default() },
                sub("a", DataType::Array, DataType::Int64),
                sub("v", DataType::ArrayOfVector, DataType::FloatVector),
            ],
            struct_fields: vec![StructField {
                name: "s".to_owned(),
                nullable,
                ..StructField::default()
            }],
            ..CollectionSchema::default()
        }
    }

    fn column(name: &str, values: InputValues, valid: &[bool]) -> InputColumn {
        let (is_dynamic, data_type) = (false, None);
        InputColumn { name: name.to_owned(), is_dynamic, data_type, values, valid: valid.to_vec() }
    }

    fn numbers(lengths: &[i64]) -> InputValues {
        let rows = lengths.iter().map(|n| Some((0..*n).map(Some)));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(rows);
        InputValues::Arrays(InputArrays { lists: Arc::new(lists), odd: None })
    }

    fn vectors(bytes: &[usize]) -> InputValues {
        InputValues::VectorLists(InputVectorLists {
            kind: Some(DataType::FloatVector),
            dim: 2,
            lengths: bytes.to_vec(),
            bytes: Buffer::from_vec(vec![0_u8; bytes.iter().sum()]),
            odd: false,
        })
    }

    fn names(nullable: bool, parts: Vec<InputColumn>) -> Result<Vec<String>, String> {
        let columns = vec![column("s", InputValues::Structs(parts), &[])];
        let flat = flatten(&schema(nullable), columns).map_err(|failure| failure.reason)?;
        Ok(flat.into_iter().map(|column| column.name).collect())
    }

    #[test]
    fn structs_become_columns() {
        let parts = vec![column("a", numbers(&[1, 0]), &[]), column("s[v]", vectors(&[8, 0]), &[])];
        assert_eq!(names(false, parts).unwrap(), ["s[a]", "s[v]"]);
        let none = |valid: &[bool]| {
            ["a", "v"].map(|name| column(name, InputValues::Missing, valid)).to_vec()
        };
        assert_eq!(names(true, none(&[false])).unwrap(), [""; 0]);
        let empty = flatten(&schema(true), vec![]).unwrap();
        assert!(empty.is_empty());
    }

    #[test]
    fn structs_that_do_not_hold_together_are_refused() {
        let two = |a: InputValues, b: InputValues| vec![column("a", a, &[]), column("v", b, &[])];
        let missing = || InputValues::Missing;
        let with_nulls = |a: &[bool], b: &[bool]| {
            vec![column("a", numbers(&[1]), a), column("v", vectors(&[8]), b)]
        };
        for (nullable, parts, reason) in [
            (
                false,
                two(numbers(&[1, 2]), vectors(&[8, 8])),
                "inconsistent struct element count in struct 's' at row 1: 'a' has 2, 'v' has 1",
            ),
            (
                false,
                two(numbers(&[1]), vectors(&[8, 8])),
                "inconsistent array length in struct field 's': expected 1, got 2 for sub-field 'v'",
            ),
            (
                false,
                two(numbers(&[1]), missing()),
                "inconsistent sub-field data in struct 's': 1 of 2 sub-fields have data, all must \
                 be present or all absent",
            ),
            (
                false,
                two(numbers(&[1]), vectors(&[7])),
                "struct 's' row 0 sub-field 'v': payload length 7 is not divisible by vector width \
                 8",
            ),
            (
                true,
                with_nulls(&[true, false], &[false, true]),
                "sub-field ValidData mismatch in struct 's' at row 0: 'a'=true, 'v'=false",
            ),
            (
                true,
                with_nulls(&[true], &[]),
                "sub-field ValidData length mismatch in struct 's': 'a' has 1, 'v' has 0",
            ),
            (
                true,
                ["a", "v"].map(|name| column(name, missing(), &[false, true])).to_vec(),
                "sub-field 'a' in struct 's' claims row 1 is valid but no payload is provided",
            ),
        ] {
            let expected = format!("{reason}: invalid parameter");
            assert_eq!(names(nullable, parts).unwrap_err(), expected);
        }
        let error = flatten(&schema(false), vec![]).unwrap_err().reason;
        assert!(error.starts_with("required struct array field 's' is missing"), "{error}");
        let unknown = vec![column("s[a]", numbers(&[1]), &[])];
        let error = flatten(&schema(true), unknown).unwrap_err().reason;
        assert!(error.starts_with("fieldName s[a] not exist in collection schema"), "{error}");
    }
}
