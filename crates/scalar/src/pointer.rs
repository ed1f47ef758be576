//! JSON pointers: the stored form of an index's path within a JSON field (`/a/b/0`, RFC 6901).
//!
//! Source: Milvus's `json_path`, given as `field["a"]["b"][0]` and kept as a pointer; the empty
//! pointer is the whole field.

use milvus_expr::parse_identifier;
use milvus_types::{CollectionSchema, FieldId};

use crate::error::ScalarParamError;

/// The pointer of path `steps`.
pub fn json_pointer<S: AsRef<str>>(steps: &[S]) -> String {
    let mut pointer = String::new();
    for step in steps {
        pointer.push('/');
        pointer.push_str(&step.as_ref().replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

/// The steps of `pointer`; `None` if it is neither empty nor begins with a slash.
pub fn parse_json_pointer(pointer: &str) -> Option<Vec<Box<str>>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let steps = pointer.strip_prefix('/')?.split('/');
    Some(steps.map(|step| step.replace("~1", "/").replace("~0", "~").into()).collect())
}

/// The pointer of the path that `text` (`field["a"]["b"]`, or a dynamic key) means under `schema`,
/// which must lie in field `field`.
pub fn json_path(
    text: &str,
    schema: &CollectionSchema,
    field: FieldId,
) -> Result<String, ScalarParamError> {
    let identifier = parse_identifier(text, schema)
        .map_err(|error| ScalarParamError::Invalid(error.to_string()))?;
    if identifier.field != field {
        return Err(ScalarParamError::Invalid("fieldID not match with field name".to_owned()));
    }
    Ok(json_pointer(&identifier.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_escape_and_return() {
        let steps: Vec<Box<str>> = vec!["a/b".into(), "~1".into(), "0".into(), "".into()];
        let pointer = json_pointer(&steps);
        assert_eq!(pointer, "/a~1b/~01/0/");
        assert_eq!(parse_json_pointer(&pointer).unwrap(), steps);
        assert_eq!(parse_json_pointer("").unwrap(), Vec::<Box<str>>::new());
        assert!(parse_json_pointer("a").is_none());
    }
}
