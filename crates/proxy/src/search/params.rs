//! The parameters of a search: text, some of it JSON, checked in Milvus's order.

use milvus_index::Depth;
use milvus_types::limits::{Limits, Window};
use milvus_types::{
    CollectionId, CollectionSchema, DataType, ErrorCode, Failure, FieldSchema, KeyValue, Result,
};

use super::group_by::{self, Grouping};
use super::iterator::{self, Cursor};
use crate::api::SearchInput;
use crate::order_by::{self, OrderBy};
use crate::wire_text::{param, parse_bool, parse_int};

/// What `search_params` say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Params {
    /// How many hits (groups) to return for each query.
    pub(crate) top_k: usize,
    /// How many better ones to leave out.
    pub(crate) offset: usize,
    /// As asked.
    pub(crate) metric: Option<String>,
    /// How to round scores.
    pub(crate) rounding: Rounding,
    /// Leave out rows that are not flushed.
    pub(crate) ignore_growing: bool,
    /// Whether an iterator of a client asks.
    pub(crate) iterator: bool,
    /// What a second-generation iterator asks for.
    pub(crate) cursor: Option<Cursor>,
    /// How to group hits.
    pub(crate) grouping: Option<Grouping>,
    /// How to order them; by score if empty.
    pub(crate) order_by: Vec<OrderBy>,
    /// The collection the client means, 0 for none.
    collection_id: i64,
    /// Given at top level.
    hints: Option<String>,
    /// The entries of `params`, values as JSON text.
    pub(crate) search: Vec<KeyValue>,
}

/// Digits after the point to round scores to, `None` for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rounding(pub(crate) Option<u8>);

impl Rounding {
    /// `score` as it is returned.
    pub(crate) fn apply(self, score: f32) -> f32 {
        let Some(digits) = self.0 else {
            return score;
        };
        let scale = 10_f32.powi(i32::from(digits));
        (score * scale + 0.5).floor() / scale
    }
}

impl Params {
    /// How many hits (groups) a shard is asked for.
    pub(crate) fn k(&self) -> usize {
        self.cursor.as_ref().map_or(self.top_k + self.offset, |cursor| cursor.batch_size)
    }

    /// How far it goes into an index.
    pub(crate) fn depth(&self) -> Depth {
        let stepwise = self.is_range()
            || self.grouping.is_some()
            || self.cursor.is_some()
            || self.hint() == Some("iterative_filter");
        if stepwise { Depth::InSteps(self.k()) } else { Depth::AtOnce(self.k()) }
    }

    /// Whether hits are bounded by score.
    pub(crate) fn is_range(&self) -> bool {
        self.search.iter().any(|pair| pair.key == "radius")
    }

    /// The value of search parameter `key`, as JSON text.
    pub(crate) fn entry(&self, key: &str) -> Option<&str> {
        milvus_types::index_meta::find(&self.search, key)
    }

    /// A client's iterator must not wander into another collection of the same name.
    pub(crate) fn check_collection(&self, id: CollectionId) -> Result<()> {
        if self.collection_id <= 0 || self.collection_id == id.0 {
            return Ok(());
        }
        Err(Failure::parameter_invalid(format!(
            "collection id:{} in the request is not consistent to that in the search context,alias \
             or database may have been changed: {id}",
            self.collection_id
        )))
    }

    fn hint(&self) -> Option<&str> {
        let hints = self.hints.as_deref().filter(|hints| !hints.is_empty());
        hints.or_else(|| self.entry("hints").map(|json| json.trim_matches('"')))
    }

    /// Only the hints there are; a range search has no use for any and does not look at them.
    pub(crate) fn check_hints(&self) -> Result<()> {
        match self.hint() {
            Some(hint) if !self.is_range() && !matches!(hint, "disable" | "iterative_filter") => {
                Err(Failure::parameter_invalid(format!("hints: {hint} not supported")))
            }
            _ => Ok(()),
        }
    }
}

/// Milvus's range of top-k and everything like it.
pub(crate) fn check_limit(value: i64, max: i64) -> Result<(), String> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(format!("it should be in range [1, {max}], but got {value}: invalid parameter"))
}

/// How many queries there are: as the request says, which old clients leave to the vectors.
pub(crate) fn nq(said: i64, input: &SearchInput) -> i64 {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    match input {
        SearchInput::Nothing => said,
        SearchInput::Vectors(all) if said == 0 => {
            count(all.iter().map(|one| one.values.len()).sum())
        }
        SearchInput::Vectors(_) => said,
        SearchInput::Keys(keys) => count(keys.len()),
    }
}

/// How many queries there may be.
pub(crate) fn check_nq(nq: i64, limits: &Limits) -> Result<()> {
    if (1..=limits.nq).contains(&nq) {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!(
        "nq [{nq}] is invalid, nq (number of search vector per search request) should be in range \
         [1, {}], but got {nq}: invalid parameter",
        limits.nq
    )))
}

/// `ignore_growing`, of a search or a query.
pub(crate) fn ignore_growing(params: &[KeyValue]) -> Result<bool> {
    let Some(text) = param(params, "ignore_growing") else {
        return Ok(false);
    };
    parse_bool(text).ok_or_else(|| Failure::parameter_invalid("parse ignore growing field failed"))
}

/// The name of the field to search.
pub(crate) fn anns_field(params: &[KeyValue], schema: &CollectionSchema) -> Result<String> {
    if let Some(name) = param(params, "anns_field").filter(|name| !name.is_empty()) {
        return Ok(name.to_owned());
    }
    let mut vectors = schema.vector_fields();
    match (vectors.next(), vectors.next()) {
        (None, _) => Err(Failure::parameter_invalid("anns_field not found in schema")),
        (Some(_), Some(_)) => Err(Failure::parameter_invalid(
            "multiple anns_fields exist, please specify a anns_field in search_params",
        )),
        (Some(field), None) => Ok(field.name.clone()),
    }
}

/// The vector field called `name`.
pub(crate) fn vector_field<'s>(
    schema: &'s CollectionSchema,
    name: &str,
) -> Result<&'s FieldSchema> {
    let what = match schema.field(name) {
        Some(field) if field.data_type.is_vector() => return Ok(field),
        Some(_) => {
            format!("field ({name}) to search is not of vector data type: query plan failed")
        }
        None => format!(
            "failed to get field schema by name: fieldName({name}) not found: invalid parameter"
        ),
    };
    Err(Failure::parameter_invalid(format!("failed to create query plan: {what}")))
}

/// What a hybrid search decides for all its searches.
#[derive(Clone, Debug)]
pub(crate) struct Advanced {
    /// Its limit and offset together: the top-k of searches that name none.
    pub(crate) window: i64,
    /// How it groups.
    pub(crate) grouping: Option<Grouping>,
}

/// Refuses what cannot be grouped.
pub(crate) fn check_grouping(params: &Params, field: &FieldSchema) -> Result<()> {
    let Some(grouping) = &params.grouping else {
        return Ok(());
    };
    if field.data_type == DataType::BinaryVector {
        return Err(Failure::parameter_invalid(
            "not support search_group_by operation based on binary vector column",
        ));
    }
    group_by::check_types(grouping)
}

/// Reads `search_params`; those of one search of a hybrid search get what that decides.
pub(crate) fn parse(
    params: &[KeyValue],
    schema: &CollectionSchema,
    window: Window,
    advanced: Option<&Advanced>,
) -> Result<Params> {
    let ignore_growing = ignore_growing(params)?;
    let iterator = matches!(param(params, "iterator"), Some("True" | "true"));
    let top_k = top_k(params, iterator, window.top_k, advanced.map_or(0, |all| all.window))?;
    let offset = if advanced.is_some() { 0 } else { offset(params, window.top_k)? };
    check_limit(top_k.saturating_add(offset), window.top_k).map_err(|error| {
        let sum = top_k.saturating_add(offset);
        Failure::parameter_invalid(format!("offset+topk [{sum}] is invalid, {error}"))
    })?;
    let rounding = rounding(params)?;
    let grouping = match advanced {
        Some(advanced) => advanced.grouping.clone(),
        None => group_by::parse(params, schema)?,
    };
    let search = search_entries(param(params, "params").unwrap_or_default())?;
    let has = |key: &str| search.iter().any(|pair| pair.key == key);
    let mismatch = |what: &str| Err(Failure::parameter_mismatch("", "", what));
    if iterator && grouping.is_some() {
        return mismatch("Not allowed to do groupBy when doing iteration");
    }
    if has("range_filter") && !has("radius") {
        return Err(Failure::parameter_mismatch(
            "range_filter",
            "",
            "range_filter requires radius to be set; range_filter alone is not a valid range \
             search parameter",
        ));
    }
    if has("radius") && grouping.is_some() {
        return mismatch("Not allowed to do range-search when doing search-group-by");
    }
    let cursor = iterator::parse(params, grouping.is_some(), iterator, offset, window)?;
    let order_by = param(params, "order_by_fields").unwrap_or_default();
    let order_by = order_by::parse_for_search(order_by, schema)?;
    let fields = grouping.as_ref().map_or(0, |grouping| grouping.fields.len());
    if fields > 1 && !order_by.is_empty() {
        return Err(Failure::parameter_invalid(
            "order_by_fields is not supported with multi-field group_by_fields",
        ));
    }
    if iterator && !order_by.is_empty() {
        return mismatch("order_by is not supported when using search iterator");
    }
    let growing_in_params = milvus_types::index_meta::find(&search, "ignore_growing")
        .is_some_and(|text| parse_bool(text.trim_matches('"')) == Some(true));
    Ok(Params {
        top_k: usize::try_from(top_k).unwrap_or_default(),
        offset: usize::try_from(offset).unwrap_or_default(),
        metric: param(params, "metric_type").map(str::to_owned),
        rounding,
        ignore_growing: ignore_growing || growing_in_params,
        iterator,
        cursor,
        grouping,
        order_by,
        collection_id: param(params, "collection_id").and_then(parse_int).unwrap_or_default(),
        hints: param(params, "hints").map(str::to_owned),
        search,
    })
}

/// The top-k; `fallback`, if there is one, where it is missing or no number.
fn top_k(params: &[KeyValue], iterator: bool, max: i64, fallback: i64) -> Result<i64> {
    let given = param(params, "topk");
    let value = match (given.and_then(parse_int), given) {
        (Some(value), _) => value,
        (None, _) if fallback > 0 => fallback,
        (None, Some(text)) => {
            return Err(Failure::parameter_invalid(format!("topk [{text}] is invalid")));
        }
        (None, None) => {
            return Err(Failure::wrap(ErrorCode::ParameterMissing, "topk is required"));
        }
    };
    match check_limit(value, max) {
        Ok(()) => Ok(value),
        // An iterator may ask for all there is.
        Err(_) if iterator => Ok(max),
        Err(error) => {
            Err(Failure::parameter_invalid(format!("topk [{value}] is invalid, {error}")))
        }
    }
}

fn offset(params: &[KeyValue], max: i64) -> Result<i64> {
    let Some(text) = param(params, "offset") else {
        return Ok(0);
    };
    let value = parse_int(text)
        .ok_or_else(|| Failure::parameter_invalid(format!("offset [{text}] is invalid")))?;
    if value != 0 {
        check_limit(value, max).map_err(|error| {
            Failure::parameter_invalid(format!("offset [{value}] is invalid, {error}"))
        })?;
    }
    Ok(value)
}

/// `round_decimal`.
pub(crate) fn rounding(params: &[KeyValue]) -> Result<Rounding> {
    let Some(text) = param(params, "round_decimal") else {
        return Ok(Rounding(None));
    };
    match parse_int(text) {
        Some(-1) => Ok(Rounding(None)),
        Some(digits @ 0..=6) => Ok(Rounding(u8::try_from(digits).ok())),
        _ => Err(Failure::parameter_invalid(format!(
            "round_decimal [{text}] is invalid, should be -1 or an integer in range [0, 6]"
        ))),
    }
}

/// The entries of the JSON object `text`, values as JSON text; an empty text has none.
fn search_entries(text: &str) -> Result<Vec<KeyValue>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| {
            Failure::parameter_invalid(format!("search params are not a json object: {error}"))
        })?;
    Ok(object.into_iter().map(|(key, value)| KeyValue::new(key, value.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(given: &[(&str, &str)]) -> Vec<KeyValue> {
        given.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect()
    }

    fn read(given: &[(&str, &str)]) -> Result<Params> {
        parse(&pairs(given), &CollectionSchema::default(), Window::default(), None)
    }

    #[test]
    fn sound_parameters() {
        let params = read(&[
            ("anns_field", "v"),
            ("topk", "10"),
            ("offset", "5"),
            ("metric_type", "l2"),
            ("round_decimal", "2"),
            ("ignore_growing", "True"),
            ("params", r#"{"ef": 64, "radius": "0.5", "hint": true}"#),
        ])
        .unwrap();
        assert_eq!((params.k(), params.top_k, params.offset), (15, 10, 5));
        assert_eq!(params.metric.as_deref(), Some("l2"));
        assert!(params.ignore_growing);
        assert_eq!(params.rounding.apply(1.236), 1.24);
        assert_eq!(params.search, pairs(&[("ef", "64"), ("radius", "\"0.5\""), ("hint", "true")]));
        assert_eq!(read(&[("topk", "3")]).unwrap().rounding.apply(1.2345), 1.2345);
    }

    #[test]
    fn unsound_parameters_are_refused_with_milvus_texts() {
        for (given, reason) in [
            (&[][..], "topk is required: missing parameter"),
            (&[("topk", "x")], "topk [x] is invalid: invalid parameter"),
            (
                &[("topk", "0")],
                "topk [0] is invalid, it should be in range [1, 16384], but got 0: invalid \
                 parameter: invalid parameter",
            ),
            (
                &[("topk", "16385")],
                "topk [16385] is invalid, it should be in range [1, 16384], but got 16385: invalid \
                 parameter: invalid parameter",
            ),
            (
                &[("topk", "1"), ("offset", "-1")],
                "offset [-1] is invalid, it should be in range [1, 16384], but got -1: invalid \
                 parameter: invalid parameter",
            ),
            (
                &[("topk", "10"), ("offset", "16380")],
                "offset+topk [16390] is invalid, it should be in range [1, 16384], but got 16390: \
                 invalid parameter: invalid parameter",
            ),
            (
                &[("topk", "1"), ("round_decimal", "7")],
                "round_decimal [7] is invalid, should be -1 or an integer in range [0, 6]: invalid \
                 parameter",
            ),
            (
                &[("topk", "1"), ("ignore_growing", "maybe")],
                "parse ignore growing field failed: invalid parameter",
            ),
            (
                &[("topk", "1"), ("params", r#"{"range_filter": 1}"#)],
                "range_filter requires radius to be set; range_filter alone is not a valid range \
                 search parameter: invalid parameter[expected=range_filter][actual=]",
            ),
        ] {
            assert_eq!(read(given).unwrap_err().reason, reason);
        }
    }

    #[test]
    fn combinations_that_milvus_refuses() {
        let schema = CollectionSchema {
            fields: vec![FieldSchema {
                id: milvus_types::FieldId(100),
                name: "a".to_owned(),
                ..FieldSchema::default()
            }],
            ..CollectionSchema::default()
        };
        let top = ("topk", "1");
        let group = ("group_by_field", "a");
        for (given, reason) in [
            (
                vec![top, group, ("iterator", "True")],
                "Not allowed to do groupBy when doing iteration",
            ),
            (
                vec![top, group, ("params", r#"{"radius": 1}"#)],
                "Not allowed to do range-search when doing search-group-by",
            ),
            (
                vec![top, ("iterator", "True"), ("order_by_fields", "a")],
                "order_by is not supported when using search iterator",
            ),
        ] {
            let error = parse(&pairs(&given), &schema, Window::default(), None).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
        let hints = |given: &[(&str, &str)]| read(given).unwrap().check_hints();
        assert_eq!(
            hints(&[top, ("hints", "nope")]).unwrap_err().reason,
            "hints: nope not supported: invalid parameter"
        );
        assert!(hints(&[top, ("params", r#"{"hints": "nope"}"#)]).is_err());
        assert!(hints(&[top, ("hints", "nope"), ("params", r#"{"radius": 1}"#)]).is_ok());
        assert!(hints(&[top, ("hints", "iterative_filter")]).is_ok());
    }

    #[test]
    fn searches_of_a_hybrid_search_take_its_window() {
        let advanced = Advanced { window: 30, grouping: None };
        let read = |given: &[(&str, &str)]| {
            parse(&pairs(given), &CollectionSchema::default(), Window::default(), Some(&advanced))
        };
        assert_eq!(read(&[]).unwrap().k(), 30);
        assert_eq!(read(&[("topk", "7"), ("offset", "4")]).unwrap().k(), 7);
    }

    #[test]
    fn the_number_of_queries_is_limited() {
        assert_eq!(
            check_nq(16385, &Limits::default()).unwrap_err().reason,
            "nq [16385] is invalid, nq (number of search vector per search request) should be in \
             range [1, 16384], but got 16385: invalid parameter: invalid parameter"
        );
        assert!(check_nq(nq(0, &SearchInput::Nothing), &Limits::default()).is_err());
    }
}
