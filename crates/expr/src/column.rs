//! Columns: the fields and paths that a filter's identifiers mean under a schema.
//!
//! A name outside the schema is a key of the dynamic field where there is one.

use std::fmt;

use milvus_types::{CollectionSchema, DataType, FieldId, FieldSchema};

use crate::error::TypeError;
use crate::literal::decode_unicode;

/// A field, or a path within one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) field: FieldId,
    /// The field's name, which is the batch's column.
    pub(crate) name: Box<str>,
    /// The field's type; of `$[sub]`, the element's.
    pub(crate) data_type: DataType,
    pub(crate) element_type: Option<DataType>,
    /// Keys and indexes from the outside in.
    pub(crate) path: Vec<Box<str>>,
    pub(crate) is_primary_key: bool,
    /// Rows without a value count as an empty object.
    pub(crate) is_dynamic: bool,
    /// Whether it is an element of a struct array.
    pub(crate) is_element: bool,
}

impl Column {
    fn new(field: &FieldSchema, path: Vec<Box<str>>) -> Self {
        Self {
            field: field.id,
            name: field.name.as_str().into(),
            data_type: field.data_type,
            element_type: field.element_type,
            path,
            is_primary_key: field.is_primary_key,
            is_dynamic: field.is_dynamic,
            is_element: false,
        }
    }

    /// The column of `field` as a whole.
    pub(crate) fn whole(field: &FieldSchema) -> Self {
        Self::new(field, Vec::new())
    }

    /// Whether it is one element of an array field, which a row may lack.
    pub(crate) fn is_subscripted(&self) -> bool {
        self.data_type == DataType::Array && !self.path.is_empty() && !self.is_element
    }

    /// The type a value of the column has: an element of an array that is subscripted.
    pub(crate) fn value_type(&self) -> DataType {
        match self.element_type {
            Some(element) if self.data_type == DataType::Array && !self.path.is_empty() => element,
            _ => self.data_type,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.data_type == DataType::JSON
    }

    /// Whether it is an array as a whole, which only `contains` and `array_length` take.
    pub(crate) fn is_whole_array(&self) -> bool {
        self.data_type == DataType::Array && self.path.is_empty() && !self.is_element
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for step in &self.path {
            write!(f, "[{step:?}]")?;
        }
        Ok(())
    }
}

fn field_or_dynamic<'s>(
    schema: &'s CollectionSchema,
    name: &str,
) -> Result<&'s FieldSchema, TypeError> {
    schema
        .field(name)
        .or_else(|| schema.dynamic_field().filter(|_| schema.enable_dynamic_field))
        .ok_or_else(|| TypeError::FieldNotExist { name: name.to_owned() })
}

/// The column that a plain name means. `allow_text` is for text matching.
pub(crate) fn identifier(
    schema: &CollectionSchema,
    name: &str,
    allow_text: bool,
) -> Result<Column, TypeError> {
    let name = decode_unicode(name);
    let field = field_or_dynamic(schema, &name)?;
    if field.data_type == DataType::Text && !allow_text {
        return Err(TypeError::TextField { name: field.name.clone() });
    }
    let path = if field.name == name { Vec::new() } else { vec![name.into()] };
    Ok(Column::new(field, path))
}

/// The column that `name["key"][0]` means.
pub(crate) fn json_identifier(schema: &CollectionSchema, text: &str) -> Result<Column, TypeError> {
    let text = decode_unicode(text);
    let (name, subscripts) = text.split_at(text.find('[').unwrap_or(text.len()));
    let field = field_or_dynamic(schema, name)?;
    if !matches!(field.data_type, DataType::JSON | DataType::Array) {
        let data_type = field.data_type.name().to_owned();
        return Err(TypeError::NotSubscriptable { data_type });
    }
    let mut path = Vec::new();
    if field.name != name {
        path.push(name.into());
    }
    let mut rest = subscripts;
    while let Some(inner) = rest.strip_prefix('[') {
        let end = subscript_end(inner);
        let step = inner.get(..end).unwrap_or_default();
        path.push(step_key(step, &text, field.data_type)?);
        rest = inner.get(end + 1..).unwrap_or_default();
    }
    Ok(Column::new(field, path))
}

/// Where the subscript that `inner` begins with ends, quotes and their escapes respected.
fn subscript_end(inner: &str) -> usize {
    let bytes = inner.as_bytes();
    let quote = bytes.first().copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate().skip(usize::from(quote.is_some())) {
        match *byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if Some(byte) == quote => return at + 1,
            b']' if quote.is_none() => return at,
            _ => {}
        }
    }
    bytes.len()
}

fn step_key(step: &str, text: &str, data_type: DataType) -> Result<Box<str>, TypeError> {
    let quoted = ['"', '\'']
        .iter()
        .find_map(|quote| step.strip_prefix(*quote).and_then(|step| step.strip_suffix(*quote)));
    match quoted {
        Some("") => Err(TypeError::InvalidIdentifier { identifier: text.to_owned() }),
        Some(_) if data_type == DataType::Array => Err(TypeError::ArrayIndexNotInteger),
        Some(key) => Ok(key.into()),
        None if step.parse::<i64>().is_ok() => Ok(step.into()),
        None => Err(TypeError::UnquotedKey { key: step.to_owned() }),
    }
}

/// The column that `struct[sub]` means.
pub(crate) fn struct_field(schema: &CollectionSchema, text: &str) -> Result<Column, TypeError> {
    let field = schema
        .field(text)
        .ok_or_else(|| TypeError::StructFieldNotFound { name: text.to_owned() })?;
    Ok(Column::new(field, Vec::new()))
}

/// The column that `struct[0][sub]` means.
pub(crate) fn struct_index_field(
    schema: &CollectionSchema,
    text: &str,
) -> Result<Column, TypeError> {
    let mut parts = text.splitn(3, '[').map(|part| part.trim_end_matches(']'));
    let (Some(name), Some(index), Some(sub)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(TypeError::InvalidIdentifier { identifier: text.to_owned() });
    };
    let mut column = struct_field(schema, &format!("{name}[{sub}]"))?;
    column.path = vec![index.into()];
    Ok(column)
}

/// The column that `$[sub]` means within a filter on the elements of `outer`.
pub(crate) fn struct_sub_field(
    schema: &CollectionSchema,
    text: &str,
    outer: Option<&str>,
) -> Result<Column, TypeError> {
    let sub = text.strip_prefix("$[").and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let outer = outer.ok_or_else(|| TypeError::SubFieldOutside { name: sub.to_owned() })?;
    let name = format!("{outer}[{sub}]");
    let field = schema.field(&name).ok_or(TypeError::ArrayFieldNotFound { name })?;
    let mut column = Column::new(field, Vec::new());
    column.data_type = field.element_type.unwrap_or(field.data_type);
    column.is_element = true;
    Ok(column)
}
