//! Names of databases, collections, aliases, partitions, fields and indexes.
//!
//! Lengths are bytes. Partition, field and index names are checked without the blanks around them;
//! collection names as they are.

use milvus_types::{ErrorCode, Failure, Result};

/// Words that a field cannot be called, because the filter language has them.
const KEYWORDS: &[&str] = &[
    "$meta",
    "like",
    "exists",
    "EXISTS",
    "and",
    "or",
    "not",
    "in",
    "json_contains",
    "JSON_CONTAINS",
    "json_contains_all",
    "JSON_CONTAINS_ALL",
    "json_contains_any",
    "JSON_CONTAINS_ANY",
    "array_contains",
    "ARRAY_CONTAINS",
    "array_contains_all",
    "ARRAY_CONTAINS_ALL",
    "array_contains_any",
    "ARRAY_CONTAINS_ANY",
    "array_length",
    "ARRAY_LENGTH",
    "true",
    "True",
    "TRUE",
    "false",
    "False",
    "FALSE",
    "text_match",
    "TEXT_MATCH",
    "phrase_match",
    "PHRASE_MATCH",
    "random_sample",
    "RANDOM_SAMPLE",
];

fn is_letter_or_underscore(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphabetic()
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// A collection's name.
pub(crate) fn collection(name: &str, max_length: usize) -> Result<()> {
    collection_like(name, "name", max_length)
}

/// Another name of a collection; same rules.
pub(crate) fn alias(alias: &str, max_length: usize) -> Result<()> {
    collection_like(alias, "alias", max_length)
}

fn collection_like(name: &str, kind: &str, max_length: usize) -> Result<()> {
    let invalid = |what: String| {
        Failure::parameter_invalid(format!("Invalid collection {kind}: {name}. {what}"))
    };
    let Some(first) = name.bytes().next() else {
        return Err(Failure::parameter_invalid(format!("collection {kind} should not be empty")));
    };
    if name.len() > max_length {
        return Err(invalid(format!(
            "the length of a collection {kind} must be less than {max_length} characters"
        )));
    }
    if !is_letter_or_underscore(first) {
        return Err(invalid(format!(
            "the first character of a collection {kind} must be an underscore or letter"
        )));
    }
    if !name.bytes().all(is_word) {
        return Err(invalid(format!(
            "collection {kind} can only contain numbers, letters and underscores"
        )));
    }
    Ok(())
}

/// A database's name.
pub(crate) fn database(name: &str, max_length: usize) -> Result<()> {
    let invalid = |what: &str| {
        let base = Failure::with_fields(ErrorCode::DatabaseInvalidName, &[("database", &name)]);
        Err(base.context(what))
    };
    let Some(first) = name.bytes().next() else {
        return invalid("database name couldn't be empty");
    };
    if name.len() > max_length {
        return invalid(&format!(
            "the length of a database name must be less than {max_length} characters"
        ));
    }
    if !is_letter_or_underscore(first) {
        return invalid("the first character of a database name must be an underscore or letter");
    }
    if !name.bytes().all(is_word) {
        return invalid("database name can only contain numbers, letters and underscores");
    }
    Ok(())
}

/// A partition's name; reads are lenient about its characters (`strict` is false).
pub(crate) fn partition(name: &str, strict: bool, max_length: usize) -> Result<()> {
    let name = name.trim();
    let invalid = |what: String| {
        Failure::parameter_invalid(format!("Invalid partition name: {name}. {what}"))
    };
    let Some(first) = name.bytes().next() else {
        return Err(invalid("Partition name should not be empty.".to_owned()));
    };
    if name.len() > max_length {
        return Err(invalid(format!(
            "The length of a partition name must be less than {max_length} characters."
        )));
    }
    if !strict {
        return Ok(());
    }
    if !is_word(first) {
        return Err(invalid(
            "The first character of a partition name must be an underscore or letter.".to_owned(),
        ));
    }
    if !name.bytes().all(|byte| is_word(byte) || byte == b'-') {
        return Err(invalid(
            "Partition name can only contain numbers, letters and underscores.".to_owned(),
        ));
    }
    Ok(())
}

fn field_name_invalid(name: &str, what: &str) -> Failure {
    let base = Failure::with_fields(ErrorCode::FieldInvalidName, &[("field", &name)]);
    base.context(what)
}

/// A field's name.
pub(crate) fn field(name: &str, max_length: usize) -> Result<()> {
    let name = name.trim();
    let Some(first) = name.bytes().next() else {
        return Err(field_name_invalid(name, "field name should not be empty"));
    };
    let invalid =
        |what: &str| field_name_invalid(name, &format!("Invalid field name: {name}. {what}"));
    if name.len() > max_length {
        return Err(invalid(&format!(
            "The length of a field name must be less than {max_length} characters."
        )));
    }
    if !is_letter_or_underscore(first) {
        return Err(invalid(
            "The first character of a field name must be an underscore or letter.",
        ));
    }
    if !name.bytes().all(is_word) {
        return Err(invalid("Field name can only contain numbers, letters, and underscores."));
    }
    if KEYWORDS.contains(&name) {
        return Err(invalid(&format!("{name} is keyword in milvus.")));
    }
    Ok(())
}

/// Names that hidden columns have.
pub(crate) fn not_reserved(name: &str) -> Result<()> {
    if matches!(name, "RowID" | "Timestamp" | "__virtual_pk__") {
        return Err(field_name_invalid(
            name,
            &format!(
                "field name {name:?} is reserved for internal use and cannot be used in user schemas"
            ),
        ));
    }
    Ok(())
}

/// An index's name; empty lets the server choose.
pub(crate) fn index(name: &str, max_length: usize) -> Result<()> {
    let name = name.trim();
    let invalid =
        |what: String| Failure::parameter_invalid(format!("Invalid index name: {name}. {what}"));
    let Some(first) = name.bytes().next() else {
        return Ok(());
    };
    if name.len() > max_length {
        return Err(invalid(format!(
            "The length of a index name must be less than {max_length} characters."
        )));
    }
    if !is_letter_or_underscore(first) {
        return Err(invalid(
            "The first character of a index name must be an underscore or letter.".to_owned(),
        ));
    }
    if !name.bytes().all(|byte| is_word(byte) || byte == b'[' || byte == b']') {
        return Err(invalid(
            "Index name can only contain numbers, letters, and underscores.".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(result: Result<()>) -> String {
        result.unwrap_err().reason
    }

    #[test]
    fn collection_names() {
        assert_eq!(collection("_a1", 255), Ok(()));
        assert_eq!(
            reason(collection("", 255)),
            "collection name should not be empty: invalid parameter"
        );
        assert_eq!(
            reason(collection("12-s", 255)),
            "Invalid collection name: 12-s. the first character of a collection name must be an \
             underscore or letter: invalid parameter"
        );
        assert_eq!(
            reason(collection("español", 255)),
            "Invalid collection name: español. collection name can only contain numbers, letters \
             and underscores: invalid parameter"
        );
        let long = "a".repeat(256);
        assert_eq!(
            reason(collection(&long, 255)),
            format!(
                "Invalid collection name: {long}. the length of a collection name must be less \
                 than 255 characters: invalid parameter"
            )
        );
        assert!(collection(&"a".repeat(255), 255).is_ok());
        assert!(collection(" a", 255).is_err());
    }

    #[test]
    fn names_of_aliases_and_databases() {
        assert_eq!(
            reason(alias("12-s", 255)),
            "Invalid collection alias: 12-s. the first character of a collection alias must be an \
             underscore or letter: invalid parameter"
        );
        assert_eq!(
            reason(alias("", 255)),
            "collection alias should not be empty: invalid parameter"
        );
        assert_eq!(database("db_1", 255), Ok(()));
        assert_eq!(
            reason(database("1db", 255)),
            "the first character of a database name must be an underscore or letter: invalid \
             database name[database=1db]"
        );
        assert_eq!(
            reason(database("", 255)),
            "database name couldn't be empty: invalid database name[database=]"
        );
        assert_eq!(
            reason(database("d b", 255)),
            "database name can only contain numbers, letters and underscores: invalid database \
             name[database=d b]"
        );
    }

    #[test]
    fn partition_names() {
        for good in ["p", "1p", "_p-1", " p "] {
            assert_eq!(partition(good, true, 255), Ok(()), "{good}");
        }
        assert_eq!(
            reason(partition("  ", true, 255)),
            "Invalid partition name: . Partition name should not be empty.: invalid parameter"
        );
        assert_eq!(
            reason(partition("(mn)", true, 255)),
            "Invalid partition name: (mn). The first character of a partition name must be an \
             underscore or letter.: invalid parameter"
        );
        assert_eq!(
            reason(partition("12 s", true, 255)),
            "Invalid partition name: 12 s. Partition name can only contain numbers, letters and \
             underscores.: invalid parameter"
        );
        assert_eq!(partition("(mn)", false, 255), Ok(()));
    }

    #[test]
    fn field_names() {
        assert_eq!(field("vector_1", 255), Ok(()));
        assert_eq!(
            field("like", 255).unwrap_err(),
            Failure::new(
                ErrorCode::FieldInvalidName,
                "Invalid field name: like. like is keyword in milvus.: field name \
                 invalid[field=like]"
            )
        );
        assert_eq!(
            reason(field("%$#", 255)),
            "Invalid field name: %$#. The first character of a field name must be an underscore \
             or letter.: field name invalid[field=%$#]"
        );
        assert_eq!(
            reason(field("a b", 255)),
            "Invalid field name: a b. Field name can only contain numbers, letters, and \
             underscores.: field name invalid[field=a b]"
        );
        assert_eq!(
            reason(not_reserved("RowID")),
            "field name \"RowID\" is reserved for internal use and cannot be used in user \
             schemas: field name invalid[field=RowID]"
        );
    }

    #[test]
    fn index_names() {
        assert_eq!(index("", 255), Ok(()));
        assert_eq!(index("a[1]", 255), Ok(()));
        assert_eq!(
            reason(index("1a", 255)),
            "Invalid index name: 1a. The first character of a index name must be an underscore or \
             letter.: invalid parameter"
        );
    }
}
