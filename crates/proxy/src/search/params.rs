//! The parameters of a search: text, some of it JSON, checked in Milvus's order.

use milvus_types::limits::Limits;
use milvus_types::{CollectionId, CollectionSchema, Failure, FieldSchema, KeyValue, Result};

use crate::api::SearchApiRequest;
use crate::wire_text::{param, parse_bool, parse_int};

/// What `search_params` say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Params {
    /// How many hits to return for each query.
    pub(crate) top_k: usize,
    /// How many better ones to leave out.
    pub(crate) offset: usize,
    /// As asked.
    pub(crate) metric: Option<String>,
    /// Digits after the point to round scores to.
    pub(crate) round_decimal: Option<u8>,
    /// Leave out rows that are not flushed.
    pub(crate) ignore_growing: bool,
    /// Whether an iterator of a client asks.
    pub(crate) iterator: bool,
    /// The collection the client means, 0 for none.
    collection_id: i64,
    /// The entries of `params`, values as JSON text.
    pub(crate) search: Vec<KeyValue>,
}

impl Params {
    /// How many hits a shard is asked for.
    pub(crate) fn k(&self) -> usize {
        self.top_k + self.offset
    }

    /// `score` as it is returned.
    pub(crate) fn rounded(&self, score: f32) -> f32 {
        let Some(digits) = self.round_decimal else {
            return score;
        };
        let scale = 10_f32.powi(i32::from(digits));
        (score * scale + 0.5).floor() / scale
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

    /// Refuses by name what Milvus serves and this version does not.
    pub(crate) fn check_supported(&self, request: &SearchApiRequest) -> Result<()> {
        let refuse =
            |what: &str| Err(Failure::parameter_invalid(format!("{what} is not supported yet")));
        if let Some(kind) = request.unsupported.first() {
            return refuse(kind);
        }
        let keys = ["group_by_field", "group_by_fields", "order_by_fields", "analyzer_name"];
        let given =
            |key: &&&str| param(&request.search_params, key).is_some_and(|value| !value.is_empty());
        keys.iter().find(given).map_or(Ok(()), |key| refuse(key))
    }
}

/// Milvus's range of top-k and everything like it.
fn check_limit(value: i64, max: i64) -> Result<(), String> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(format!("it should be in range [1, {max}], but got {value}: invalid parameter"))
}

/// How many query vectors there are.
pub(crate) fn check_nq(request: &SearchApiRequest, limits: &Limits) -> Result<()> {
    let given = request.placeholder.as_ref().map_or(0, |placeholder| placeholder.values.len());
    // Old clients do not say, and nobody is believed to have sent less than is there.
    let nq = request.nq.max(i64::try_from(given).unwrap_or(i64::MAX));
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

/// Reads `search_params`.
pub(crate) fn parse(params: &[KeyValue], limits: &Limits) -> Result<Params> {
    let ignore_growing = ignore_growing(params)?;
    let iterator = matches!(param(params, "iterator"), Some("True" | "true"));
    let top_k = top_k(params, iterator, limits.top_k)?;
    let offset = offset(params, limits.top_k)?;
    check_limit(top_k.saturating_add(offset), limits.top_k).map_err(|error| {
        let sum = top_k.saturating_add(offset);
        Failure::parameter_invalid(format!("offset+topk [{sum}] is invalid, {error}"))
    })?;
    let round_decimal = round_decimal(params)?;
    let search = search_entries(param(params, "params").unwrap_or_default())?;
    let has = |key: &str| search.iter().any(|pair| pair.key == key);
    if has("range_filter") && !has("radius") {
        return Err(Failure::parameter_mismatch(
            "range_filter",
            "",
            "range_filter requires radius to be set; range_filter alone is not a valid range \
             search parameter",
        ));
    }
    let growing_in_params = milvus_types::index_meta::find(&search, "ignore_growing")
        .is_some_and(|text| parse_bool(text.trim_matches('"')) == Some(true));
    Ok(Params {
        top_k: usize::try_from(top_k).unwrap_or_default(),
        offset: usize::try_from(offset).unwrap_or_default(),
        metric: param(params, "metric_type").map(str::to_owned),
        round_decimal,
        ignore_growing: ignore_growing || growing_in_params,
        iterator,
        collection_id: param(params, "collection_id").and_then(parse_int).unwrap_or_default(),
        search,
    })
}

fn top_k(params: &[KeyValue], iterator: bool, max: i64) -> Result<i64> {
    let Some(text) = param(params, "topk") else {
        return Err(Failure::wrap(milvus_types::ErrorCode::ParameterMissing, "topk is required"));
    };
    let value = parse_int(text)
        .ok_or_else(|| Failure::parameter_invalid(format!("topk [{text}] is invalid")))?;
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

fn round_decimal(params: &[KeyValue]) -> Result<Option<u8>> {
    let Some(text) = param(params, "round_decimal") else {
        return Ok(None);
    };
    match parse_int(text) {
        Some(-1) => Ok(None),
        Some(digits @ 0..=6) => Ok(u8::try_from(digits).ok()),
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
        parse(&pairs(given), &Limits::default())
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
        assert_eq!(params.rounded(1.236), 1.24);
        assert_eq!(params.search, pairs(&[("ef", "64"), ("radius", "\"0.5\""), ("hint", "true")]));
        assert_eq!(read(&[("topk", "3")]).unwrap().rounded(1.2345), 1.2345);
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
    fn the_number_of_queries_is_limited() {
        let request = SearchApiRequest { nq: 16385, ..SearchApiRequest::default() };
        assert_eq!(
            check_nq(&request, &Limits::default()).unwrap_err().reason,
            "nq [16385] is invalid, nq (number of search vector per search request) should be in \
             range [1, 16384], but got 16385: invalid parameter: invalid parameter"
        );
        assert!(check_nq(&SearchApiRequest::default(), &Limits::default()).is_err());
    }
}
