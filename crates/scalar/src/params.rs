//! Parameters of scalar indexes: which field takes which index, in Milvus's words.
//!
//! Source: Milvus 2.6's index parameter checks. The caller has flattened `params` and refused
//! duplicates.

use milvus_types::index_meta::find;
use milvus_types::{CollectionSchema, DataType, FieldId, FieldSchema, KeyValue};

use crate::error::ScalarParamError;
use crate::index_type::ScalarIndexType;
use crate::pointer::{json_path, parse_json_pointer};
use crate::shape::{JsonCast, Shape, Target};

/// The parameter that says what values at a JSON path are taken as.
pub const JSON_CAST_TYPE: &str = "json_cast_type";
/// The parameter that says where in a JSON field; stored as a JSON pointer.
pub const JSON_PATH: &str = "json_path";
/// The parameter that names a conversion. Results are the same with and without it.
pub const JSON_CAST_FUNCTION: &str = "json_cast_function";
/// The parameter up to how many distinct values a HYBRID index is a bitmap.
pub const BITMAP_CARDINALITY_LIMIT: &str = "bitmap_cardinality_limit";

const INDEX_TYPE: &str = "index_type";
const AUTO_INDEX: &str = "AUTOINDEX";
const MMAP: &str = "mmap.enabled";
/// Distinct values up to which AUTOINDEX keeps bitmaps.
const DEFAULT_CARDINALITY_LIMIT: usize = 100;
const MOST_CARDINALITY_LIMIT: usize = 1000;

/// What is to be built, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalarBuild {
    /// What it is.
    pub index_type: ScalarIndexType,
    /// The field's type.
    pub data_type: DataType,
    pub(crate) target: Target,
    pub(crate) grams: (usize, usize),
    pub(crate) cardinality_limit: usize,
}

impl ScalarBuild {
    /// The field.
    pub fn field(&self) -> FieldId {
        self.target.field
    }

    /// The path within a JSON field; empty for the whole field and for other fields.
    pub fn path(&self) -> &[Box<str>] {
        &self.target.path
    }
}

/// The parameters under which an index on `field` of `schema` is built, from the user's flattened
/// `params`: AUTOINDEX resolved, casts in capitals, the JSON path (of `requested`, the name the user
/// gave, where there is none) as a pointer, and all of them checked in Milvus's order.
pub fn prepare_params(
    schema: &CollectionSchema,
    field: &FieldSchema,
    requested: &str,
    mut params: Vec<KeyValue>,
) -> Result<Vec<KeyValue>, ScalarParamError> {
    for pair in &mut params {
        if matches!(pair.key.as_str(), JSON_CAST_TYPE | JSON_CAST_FUNCTION) {
            pair.value = pair.value.trim().to_uppercase();
        }
    }
    if field.data_type == DataType::Text {
        let text = "TEXT field does not support user-created scalar index";
        return Err(ScalarParamError::Invalid(text.to_owned()));
    }
    let index_type = index_type(field, &params)?;
    set(&mut params, INDEX_TYPE, index_type.name());
    if index_type == ScalarIndexType::Hybrid && find(&params, BITMAP_CARDINALITY_LIMIT).is_none() {
        set(&mut params, BITMAP_CARDINALITY_LIMIT, &DEFAULT_CARDINALITY_LIMIT.to_string());
    }
    check_type(index_type, field)?;
    check_values(index_type, field, &params)?;
    if field.data_type == DataType::JSON {
        let text = find(&params, JSON_PATH).unwrap_or(requested);
        let pointer = json_path(text, schema, field.id)?;
        set(&mut params, JSON_PATH, &pointer);
    }
    check_params(index_type, field, &params)?;
    Ok(params)
}

/// Checks that `field` takes an index of `index_type` with `params` as [`prepare_params`] made
/// them; what to build.
pub fn check_params(
    index_type: ScalarIndexType,
    field: &FieldSchema,
    params: &[KeyValue],
) -> Result<ScalarBuild, ScalarParamError> {
    check_type(index_type, field)?;
    let grams = check_values(index_type, field, params)?;
    let is_json = field.data_type == DataType::JSON;
    let cast = find(params, JSON_CAST_TYPE).and_then(JsonCast::parse);
    let shape = Shape::of(field, cast).ok_or_else(|| {
        invalid(format!("{index_type} are not supported on {} field", field.name))
    })?;
    let pointer = find(params, JSON_PATH).filter(|_| is_json).unwrap_or_default();
    let path = parse_json_pointer(pointer)
        .ok_or_else(|| invalid(format!("json_path {pointer} is no JSON pointer")))?;
    let limit = find(params, BITMAP_CARDINALITY_LIMIT).and_then(|limit| limit.parse().ok());
    Ok(ScalarBuild {
        index_type,
        data_type: field.data_type,
        target: Target { field: field.id, shape, path },
        grams,
        cardinality_limit: limit.unwrap_or(DEFAULT_CARDINALITY_LIMIT),
    })
}

fn invalid(text: impl Into<String>) -> ScalarParamError {
    ScalarParamError::Invalid(text.into())
}

fn set(params: &mut Vec<KeyValue>, key: &str, value: &str) {
    match params.iter_mut().find(|pair| pair.key == key) {
        Some(pair) => value.clone_into(&mut pair.value),
        None => params.push(KeyValue::new(key, value)),
    }
}

/// The type that `params` ask for, or AUTOINDEX chooses.
fn index_type(
    field: &FieldSchema,
    params: &[KeyValue],
) -> Result<ScalarIndexType, ScalarParamError> {
    let name = find(params, INDEX_TYPE).unwrap_or_default();
    let named = ScalarIndexType::parse(name);
    if !name.is_empty() {
        check_mmap(name, named, params)?;
    }
    match named {
        Some(ScalarIndexType::Hybrid) => Err(ScalarParamError::IndexType(name.to_owned())),
        Some(index_type) => Ok(index_type),
        None if name.is_empty() || name == AUTO_INDEX => automatic(field, params),
        None => Err(ScalarParamError::IndexType(name.to_owned())),
    }
}

fn check_mmap(
    name: &str,
    index_type: Option<ScalarIndexType>,
    params: &[KeyValue],
) -> Result<(), ScalarParamError> {
    let wrong =
        |text: String| Err(invalid(format!("invalid mmap type params: {text}: invalid parameter")));
    let Some(value) = find(params, MMAP) else { return Ok(()) };
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => {
            if name == AUTO_INDEX || index_type.is_some_and(ScalarIndexType::takes_mmap) {
                return Ok(());
            }
            wrong(format!("index type {name} does not support mmap"))
        }
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(()),
        _ => wrong(format!("invalid {MMAP} value: {value}, expected: true, false")),
    }
}

/// What AUTOINDEX builds on `field`.
fn automatic(
    field: &FieldSchema,
    params: &[KeyValue],
) -> Result<ScalarIndexType, ScalarParamError> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other type with values")]
    let of_values = |data_type: DataType| match data_type {
        DataType::Bool => ScalarIndexType::Bitmap,
        DataType::Timestamptz => ScalarIndexType::StlSort,
        _ => ScalarIndexType::Hybrid,
    };
    let is_flat = find(params, JSON_CAST_TYPE) == Some(JsonCast::Json.name());
    match (field.data_type, Shape::of(field, Some(JsonCast::Json))) {
        (DataType::JSON, _) if is_flat => Ok(ScalarIndexType::Inverted),
        (DataType::JSON, _) => Ok(ScalarIndexType::Hybrid),
        (DataType::Geometry, _) => Ok(ScalarIndexType::Rtree),
        (DataType::Array, Some(_)) => Ok(of_values(field.element_type.unwrap_or(DataType::Int64))),
        (data_type, Some(_)) => Ok(of_values(data_type)),
        (data_type, None) => Err(ScalarParamError::AutoType(data_type.name().to_owned())),
    }
}

/// Whether the field's type fits the index.
fn check_type(index_type: ScalarIndexType, field: &FieldSchema) -> Result<(), ScalarParamError> {
    let data_type = field.data_type;
    let element = field.element_type.filter(|_| data_type == DataType::Array);
    let is_json = data_type == DataType::JSON;
    let (is_array, is_string) = (data_type == DataType::Array, data_type.is_string());
    let has_values = data_type == DataType::Bool || data_type.is_integer() || is_string;
    let refusal = match index_type {
        ScalarIndexType::Inverted if has_values || data_type.is_floating() => None,
        ScalarIndexType::Inverted if is_array || is_json => None,
        ScalarIndexType::Inverted => {
            Some(format!("INVERTED are not supported on {data_type} field"))
        }
        ScalarIndexType::StlSort => stl_sort_refusal(field),
        ScalarIndexType::Trie => {
            (!is_string).then(|| "TRIE are only supported on varchar field".to_owned())
        }
        ScalarIndexType::Bitmap => bitmap_refusal(field, element, has_values),
        ScalarIndexType::Hybrid => {
            let fits = has_values || data_type.is_floating() || is_array || is_json;
            (!fits).then(|| {
                "hybrid index are only supported on bool, int, float, string and array field"
                    .to_owned()
            })
        }
        ScalarIndexType::Ngram => (!is_string && !is_json)
            .then(|| "ngram index can only be created on VARCHAR or JSON field".to_owned()),
        ScalarIndexType::Rtree => (data_type != DataType::Geometry)
            .then(|| format!("RTREE index can only be built on geometry field, got {data_type}")),
    };
    refusal.map_or(Ok(()), |text| Err(invalid(text)))
}

fn stl_sort_refusal(field: &FieldSchema) -> Option<String> {
    let sortable = |data_type: DataType| {
        data_type.is_numeric() || data_type.is_string() || data_type == DataType::Timestamptz
    };
    let words = "STL_SORT are only supported on numeric, varchar or timestamptz field, got";
    match (field.data_type, field.element_type) {
        (DataType::JSON, _) => None,
        (DataType::Array, Some(element)) if field.struct_name().is_some() => {
            (!sortable(element)).then(|| format!("{words} struct sub-field of {element}"))
        }
        (data_type, _) => (!sortable(data_type)).then(|| format!("{words} {data_type}")),
    }
}

fn bitmap_refusal(
    field: &FieldSchema,
    element: Option<DataType>,
    has_values: bool,
) -> Option<String> {
    let text = if field.is_primary_key {
        "create bitmap index on primary key not supported"
    } else if field.data_type == DataType::JSON {
        return None;
    } else if field.data_type == DataType::Array {
        if element.is_some_and(|element| !element.is_floating()) {
            return None;
        }
        "bitmap index are only supported on bool, int, string for array field"
    } else if has_values {
        return None;
    } else {
        "bitmap index are only supported on bool, int, string and array field"
    };
    Some(text.to_owned())
}

/// Checks the values of parameters; the lengths of n-grams.
fn check_values(
    index_type: ScalarIndexType,
    field: &FieldSchema,
    params: &[KeyValue],
) -> Result<(usize, usize), ScalarParamError> {
    let is_json = field.data_type == DataType::JSON;
    if index_type == ScalarIndexType::Ngram {
        return ngrams(is_json, params);
    }
    if is_json {
        check_cast(index_type, params)?;
    }
    if index_type == ScalarIndexType::Hybrid {
        let limit = find(params, BITMAP_CARDINALITY_LIMIT).map(str::parse::<usize>);
        if !limit.is_none_or(|limit| limit.is_ok_and(|n| (1..=MOST_CARDINALITY_LIMIT).contains(&n)))
        {
            return Err(invalid(format!(
                "failed to check bitmap cardinality limit, should be larger than 0 and smaller \
                 than {MOST_CARDINALITY_LIMIT}"
            )));
        }
    }
    Ok((0, 0))
}

fn check_cast(index_type: ScalarIndexType, params: &[KeyValue]) -> Result<(), ScalarParamError> {
    let cast = find(params, JSON_CAST_TYPE).ok_or(ScalarParamError::Missing {
        param: JSON_CAST_TYPE,
        what: "json index must specify cast type",
    })?;
    let takes: &[&str] = match index_type {
        ScalarIndexType::Bitmap => &["BOOL", "VARCHAR"],
        ScalarIndexType::StlSort => &["DOUBLE", "VARCHAR"],
        ScalarIndexType::Hybrid => &["BOOL", "DOUBLE", "VARCHAR"],
        ScalarIndexType::Inverted
        | ScalarIndexType::Trie
        | ScalarIndexType::Ngram
        | ScalarIndexType::Rtree => {
            if JsonCast::parse(cast).is_none() {
                return Err(invalid(format!("json_cast_type {cast} is not supported")));
            }
            return check_cast_function(cast, params);
        }
    };
    if !takes.contains(&cast) {
        return Err(invalid(format!(
            "json_cast_type {cast} is not supported for {index_type} index"
        )));
    }
    Ok(())
}

fn check_cast_function(cast: &str, params: &[KeyValue]) -> Result<(), ScalarParamError> {
    match find(params, JSON_CAST_FUNCTION) {
        None => Ok(()),
        Some("STRING_TO_DOUBLE") if cast == JsonCast::Double.name() => Ok(()),
        Some(function @ "STRING_TO_DOUBLE") => Err(invalid(format!(
            "json_cast_function {function} is not supported for json_cast_type {cast}"
        ))),
        Some(function) => Err(invalid(format!("json_cast_function {function} is not supported"))),
    }
}

fn ngrams(is_json: bool, params: &[KeyValue]) -> Result<(usize, usize), ScalarParamError> {
    if is_json {
        let cast = find(params, JSON_CAST_TYPE).ok_or(ScalarParamError::MissingText(
            "JSON field with ngram index must specify json_cast_type",
        ))?;
        if cast != JsonCast::VarChar.name() {
            return Err(invalid(format!(
                "JSON field with ngram index only supports VARCHAR cast type, got: {cast}"
            )));
        }
    }
    let (Some(least), Some(most)) = (find(params, "min_gram"), find(params, "max_gram")) else {
        let text = "Ngram index must specify both min_gram and max_gram";
        return Err(ScalarParamError::MissingText(text));
    };
    let whole = |key: &str, text: &str| {
        text.parse::<i64>()
            .map_err(|_| invalid(format!("{key} for Ngram index must be an integer, got: {text}")))
    };
    let (least, most) = (whole("min_gram", least)?, whole("max_gram", most)?);
    match (usize::try_from(least), usize::try_from(most)) {
        (Ok(low), Ok(high)) if low > 0 && low <= high => Ok((low, high)),
        _ => Err(invalid(format!(
            "invalid min_gram or max_gram value for Ngram index, min_gram: {least}, max_gram: {most}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> CollectionSchema {
        let field = |id: i64, name: &str, data_type: DataType| FieldSchema {
            id: FieldId(id),
            name: name.to_owned(),
            data_type,
            ..FieldSchema::default()
        };
        let array = |id, name: &str, element| FieldSchema {
            element_type: Some(element),
            ..field(id, name, DataType::Array)
        };
        CollectionSchema {
            fields: vec![
                FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) },
                field(101, "int", DataType::Int32),
                field(102, "bool", DataType::Bool),
                field(103, "double", DataType::Double),
                field(104, "text", DataType::VarChar),
                field(105, "json", DataType::JSON),
                field(106, "shape", DataType::Geometry),
                field(107, "time", DataType::Timestamptz),
                array(108, "floats", DataType::Float),
                array(109, "s[sub]", DataType::Int64),
                field(110, "large", DataType::Text),
                FieldSchema { is_dynamic: true, ..field(111, "$meta", DataType::JSON) },
            ],
            enable_dynamic_field: true,
            ..CollectionSchema::default()
        }
    }

    fn prepare(name: &str, given: &[(&str, &str)]) -> Result<Vec<KeyValue>, ScalarParamError> {
        let schema = schema();
        let field = schema.field(name).or_else(|| schema.dynamic_field()).unwrap();
        let params = given.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
        prepare_params(&schema, field, name, params)
    }

    #[test]
    fn automatic_types() {
        let chosen = |name, given: &[(&str, &str)]| {
            prepare(name, given).map(|params| find(&params, "index_type").unwrap().to_owned())
        };
        for (name, want) in [
            ("int", "HYBRID"),
            ("bool", "BITMAP"),
            ("text", "HYBRID"),
            ("shape", "RTREE"),
            ("time", "STL_SORT"),
            ("floats", "HYBRID"),
            ("s[sub]", "HYBRID"),
        ] {
            assert_eq!(chosen(name, &[]).unwrap(), want, "{name}");
            assert_eq!(chosen(name, &[("index_type", "AUTOINDEX")]).unwrap(), want, "{name}");
        }
        assert_eq!(chosen("json", &[("json_cast_type", "json")]).unwrap(), "INVERTED");
        assert_eq!(chosen("json", &[("json_cast_type", " double ")]).unwrap(), "HYBRID");
    }

    #[test]
    fn paths_become_pointers() {
        let path = |name, given: &[(&str, &str)]| {
            let params = prepare(name, given).unwrap();
            find(&params, JSON_PATH).unwrap().to_owned()
        };
        let cast = ("json_cast_type", "varchar");
        assert_eq!(path("json", &[cast]), "");
        assert_eq!(path("json", &[cast, ("json_path", "json['a/b'][0]")]), "/a~1b/0");
        assert_eq!(path("color", &[cast]), "/color");
        assert_eq!(path("color", &[cast, ("json_path", "$meta['color']['x']")]), "/color/x");
    }

    #[test]
    fn what_does_not_fit_is_refused_in_milvus_words() {
        for (name, given, want) in [
            (
                "shape",
                &[("index_type", "INVERTED")][..],
                "INVERTED are not supported on Geometry field: invalid parameter",
            ),
            (
                "time",
                &[("index_type", "INVERTED")],
                "INVERTED are not supported on Timestamptz field: invalid parameter",
            ),
            (
                "bool",
                &[("index_type", "STL_SORT")],
                "STL_SORT are only supported on numeric, varchar or timestamptz field, got Bool: invalid parameter",
            ),
            (
                "floats",
                &[("index_type", "STL_SORT")],
                "STL_SORT are only supported on numeric, varchar or timestamptz field, got Array: invalid parameter",
            ),
            (
                "int",
                &[("index_type", "Trie")],
                "TRIE are only supported on varchar field: invalid parameter",
            ),
            (
                "id",
                &[("index_type", "BITMAP")],
                "create bitmap index on primary key not supported: invalid parameter",
            ),
            (
                "double",
                &[("index_type", "BITMAP")],
                "bitmap index are only supported on bool, int, string and array field: invalid parameter",
            ),
            (
                "floats",
                &[("index_type", "BITMAP")],
                "bitmap index are only supported on bool, int, string for array field: invalid parameter",
            ),
            (
                "int",
                &[("index_type", "HYBRID")],
                "invalid parameter[expected=valid index][actual=invalid index type: HYBRID]",
            ),
            (
                "int",
                &[("index_type", "RTREE")],
                "RTREE index can only be built on geometry field, got Int32: invalid parameter",
            ),
            (
                "int",
                &[("index_type", "NGRAM")],
                "ngram index can only be created on VARCHAR or JSON field: invalid parameter",
            ),
            (
                "text",
                &[("index_type", "NGRAM")],
                "Ngram index must specify both min_gram and max_gram: missing parameter",
            ),
            (
                "text",
                &[("index_type", "NGRAM"), ("min_gram", "2.5"), ("max_gram", "3")],
                "min_gram for Ngram index must be an integer, got: 2.5: invalid parameter",
            ),
            (
                "text",
                &[("index_type", "NGRAM"), ("min_gram", "3"), ("max_gram", "2")],
                "invalid min_gram or max_gram value for Ngram index, min_gram: 3, max_gram: 2: invalid parameter",
            ),
            (
                "json",
                &[("index_type", "INVERTED")],
                "json index must specify cast type: missing parameter[missing_param=json_cast_type]",
            ),
            (
                "json",
                &[("index_type", "INVERTED"), ("json_cast_type", "int")],
                "json_cast_type INT is not supported: invalid parameter",
            ),
            (
                "json",
                &[("index_type", "BITMAP"), ("json_cast_type", "double")],
                "json_cast_type DOUBLE is not supported for BITMAP index: invalid parameter",
            ),
            (
                "json",
                &[
                    ("index_type", "INVERTED"),
                    ("json_cast_type", "varchar"),
                    ("json_cast_function", "string_to_double"),
                ],
                "json_cast_function STRING_TO_DOUBLE is not supported for json_cast_type VARCHAR: invalid parameter",
            ),
            (
                "large",
                &[("index_type", "INVERTED")],
                "TEXT field does not support user-created scalar index: invalid parameter",
            ),
            (
                "int",
                &[("index_type", "STL_SORT"), ("mmap.enabled", "true")],
                "invalid mmap type params: index type STL_SORT does not support mmap: invalid parameter: invalid parameter",
            ),
        ] {
            assert_eq!(prepare(name, given).unwrap_err().to_string(), want, "{name}");
        }
        assert!(prepare("s[sub]", &[("index_type", "STL_SORT")]).is_ok());
        assert!(
            prepare(
                "json",
                &[
                    ("index_type", "INVERTED"),
                    ("json_cast_type", "double"),
                    ("json_cast_function", "string_to_double")
                ]
            )
            .is_ok()
        );
    }
}
