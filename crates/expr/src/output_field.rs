//! Output fields and identifiers: names and paths outside of conditions.

use milvus_types::{Coded, CollectionSchema, ErrorCode, FieldId};

use crate::ast::Node;
use crate::column::{self, Column};
use crate::error::{PlanError, SyntaxError};
use crate::parse::parse;

/// What one entry of `output_fields` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputField {
    /// A field of the schema; the whole dynamic field when asked for as `$meta`.
    Field(FieldId),
    /// One key of the dynamic field, without quotes.
    DynamicKey(String),
}

/// Why an entry of `output_fields` means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputFieldError {
    /// No such field, and no dynamic field.
    #[error("field {name} not exist")]
    NotExist {
        /// The entry.
        name: String,
    },
    /// Neither a field nor one key of the dynamic field.
    #[error("parse output field name failed: {name}")]
    Malformed {
        /// The entry.
        name: String,
    },
}

impl Coded for OutputFieldError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ParameterInvalid
    }
}

/// What output field `name` means under `schema`: a field, or with a dynamic field `key` or
/// `$meta["key"]`. `*` and aggregates are the caller's.
pub fn parse_output_field(
    name: &str,
    schema: &CollectionSchema,
) -> Result<OutputField, OutputFieldError> {
    let name = name.trim();
    if let Some(field) = schema.field(name) {
        return Ok(OutputField::Field(field.id));
    }
    if !schema.enable_dynamic_field {
        return Err(OutputFieldError::NotExist { name: name.to_owned() });
    }
    let malformed = || OutputFieldError::Malformed { name: name.to_owned() };
    let column = resolve(name, schema).map_err(|_| malformed())?;
    match <[Box<str>; 1]>::try_from(column.path) {
        Ok([key]) if column.is_dynamic => Ok(OutputField::DynamicKey(key.into())),
        _ => Err(malformed()),
    }
}

/// A field and a path within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// The field; the dynamic field for a dynamic key.
    pub field: FieldId,
    /// Keys and indexes from the outside in, without quotes.
    pub path: Vec<String>,
}

/// Why a text is not a field or a path, as Milvus words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse identifier: {identifier}: {cause}")]
pub struct IdentifierError {
    /// The text.
    pub identifier: String,
    /// What is wrong with it.
    pub cause: PlanError,
}

impl Coded for IdentifierError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ParameterInvalid
    }
}

/// The field and path that `text` names under `schema`: `json["a"][0]`, `$meta["k"]`, `key`.
pub fn parse_identifier(
    text: &str,
    schema: &CollectionSchema,
) -> Result<Identifier, IdentifierError> {
    let column = resolve(text, schema)
        .map_err(|cause| IdentifierError { identifier: text.to_owned(), cause })?;
    let path = column.path.into_iter().map(Into::into).collect();
    Ok(Identifier { field: column.field, path })
}

fn resolve(text: &str, schema: &CollectionSchema) -> Result<Column, PlanError> {
    let parsed = parse(text)?;
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else it is, it is no name")]
    let column = match parsed.root.node {
        Node::Identifier(name) => column::identifier(schema, name, true)?,
        Node::JsonIdentifier(path) => column::json_identifier(schema, path)?,
        Node::StructField(name) => column::struct_field(schema, name)?,
        _ => {
            return Err(SyntaxError::TrailingInput { expression: text.to_owned() }.into());
        }
    };
    Ok(column)
}
