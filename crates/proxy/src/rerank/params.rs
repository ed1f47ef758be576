//! Which ranker a request names, checked with Milvus's texts.

use milvus_types::{CollectionSchema, DataType, Failure, FieldSchema, KeyValue, Result};

use super::Ranker;
use super::decay::{Curve, Decay, ScoreMode};
use super::group::Scorer;
use crate::api::{FunctionScore, RankFunction};
use crate::wire_text::{param, parse_bool};

/// The name of the ranker that segments apply.
pub(crate) const BOOST: &str = "boost";

fn invalid<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Failure::parameter_invalid(format!("rerank_builder: {what}")))
}

/// The value of parameter `key`, whatever the case of its name.
fn find<'f>(params: &'f [KeyValue], key: &str) -> Option<&'f str> {
    params.iter().find(|pair| pair.key.eq_ignore_ascii_case(key)).map(|pair| pair.value.trim())
}

/// The ranker that `function` names, in lower case; empty if it names none.
pub(crate) fn name(function: &RankFunction) -> String {
    find(&function.params, "reranker").unwrap_or_default().to_lowercase()
}

/// The ranker of a function score; `None` if all its functions are boosts.
pub(crate) fn of_function_score(
    score: &FunctionScore,
    schema: &CollectionSchema,
    searches: usize,
) -> Result<Option<Ranker>> {
    let mut rankers = score.functions.iter().filter(|function| name(function) != BOOST);
    let Some(function) = rankers.next() else {
        return Ok(None);
    };
    if rankers.next().is_some() {
        return invalid("currently only supports one rerank function");
    }
    of_function(function, schema, searches).map(Some)
}

fn of_function(
    function: &RankFunction,
    schema: &CollectionSchema,
    searches: usize,
) -> Result<Ranker> {
    let params = &function.params;
    match name(function).as_str() {
        "" => invalid("reranker name not specified"),
        "rrf" => rrf(find(params, "k")),
        "weighted" => weighted(find(params, "weights"), find(params, "norm_score"), searches),
        "decay" => decay(function, schema).map(Ranker::Decay),
        "model" => model(function, schema),
        other => invalid(format!("unsupported reranker {other}")),
    }
}

/// The ranker of the older parameters of a hybrid search: `strategy` and `params`.
pub(crate) fn of_legacy(rank_params: &[KeyValue], searches: usize) -> Result<Ranker> {
    let strategy = find(rank_params, "strategy").unwrap_or("rrf").to_lowercase();
    let text = find(rank_params, "params").unwrap_or("{}");
    let params: serde_json::Value = match serde_json::from_str(text) {
        Ok(params) => params,
        Err(error) => return invalid(format!("parse rerank params failed: {error}")),
    };
    match strategy.as_str() {
        "rrf" => match params.get("k") {
            None => rrf(None),
            Some(serde_json::Value::Number(k)) => rrf(Some(&k.to_string())),
            Some(_) => invalid("the type of rank param k should be float"),
        },
        "weighted" => {
            let weights = params.get("weights").map(serde_json::Value::to_string);
            let norm = match params.get("norm_score") {
                None => None,
                Some(serde_json::Value::Bool(norm)) => Some(norm.to_string()),
                Some(serde_json::Value::String(text)) if parse_bool(text).is_some() => {
                    Some(text.clone())
                }
                Some(_) => return invalid("the type of rank param norm_score should be bool"),
            };
            weighted(weights.as_deref(), norm.as_deref(), searches)
        }
        other => invalid(format!("unsupported rank type {other}")),
    }
}

fn rrf(k: Option<&str>) -> Result<Ranker> {
    let Some(text) = k else {
        return Ok(Ranker::Rrf { k: 60.0 });
    };
    match text.parse::<f64>() {
        Err(_) => invalid(format!("{text} is not a number")),
        Ok(k) if k > 0.0 && k < 16384.0 => Ok(Ranker::Rrf { k }),
        Ok(_) => Err(Failure::parameter_invalid("The rank params k should be in range (0, 16384)")),
    }
}

fn weighted(weights: Option<&str>, norm: Option<&str>, searches: usize) -> Result<Ranker> {
    let weights: Vec<f32> = match serde_json::from_str(weights.unwrap_or("[]")) {
        Ok(weights) => weights,
        Err(error) => return invalid(format!("failed to parse weights: {error}")),
    };
    if weights.iter().any(|weight| !(0.0..=1.0).contains(weight)) {
        return Err(Failure::parameter_invalid("rank param weight should be in range [0, 1]"));
    }
    let normalize = match norm.map(parse_bool) {
        None => false,
        Some(Some(normalize)) => normalize,
        Some(None) => {
            return invalid(format!("failed to parse norm_score: {}", norm.unwrap_or_default()));
        }
    };
    if weights.is_empty() {
        return invalid("weighted reranker requires weights parameter");
    }
    if weights.len() != searches {
        return Err(Failure::parameter_mismatch(
            searches,
            weights.len(),
            "the length of weights param mismatch with ann search requests",
        ));
    }
    Ok(Ranker::Weighted { weights, normalize })
}

fn number(params: &[KeyValue], key: &str) -> Result<Option<f64>> {
    match find(params, key) {
        None => Ok(None),
        Some(text) => match text.parse::<f64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Failure::parameter_invalid(format!(
                "decay param {key}: {text} is not a number"
            ))),
        },
    }
}

fn decay(function: &RankFunction, schema: &CollectionSchema) -> Result<Decay> {
    let params = &function.params;
    if let Some(field) = function.input_fields.first().and_then(|name| schema.field(name)) {
        convertible(field)?;
    }
    let missing = |what: &str| {
        let code = milvus_types::ErrorCode::ParameterMissing;
        Failure::wrap(code, format!("decay {what} not specified"))
    };
    let (origin, scale) = (number(params, "origin")?, number(params, "scale")?);
    let offset = number(params, "offset")?.unwrap_or(0.0);
    let decay = number(params, "decay")?.unwrap_or(0.5);
    let curve = find(params, "function").ok_or_else(|| missing("function"))?.to_lowercase();
    let origin = origin.ok_or_else(|| missing("origin"))?;
    let scale = scale.ok_or_else(|| missing("scale"))?;
    let mode = match find(params, "score_mode").unwrap_or("max").to_lowercase().as_str() {
        "max" => ScoreMode::Max,
        "sum" => ScoreMode::Sum,
        "avg" => ScoreMode::Avg,
        mode => {
            return Err(Failure::parameter_invalid(format!(
                "unsupported score_mode: {mode}, only supports [max, sum, avg]"
            )));
        }
    };
    let [input] = function.input_fields.as_slice() else {
        return invalid(format!(
            "decay reranker requires exactly 1 input field, got {}",
            function.input_fields.len()
        ));
    };
    let field = match schema.field(input).filter(|field| !field.is_dynamic) {
        Some(field) if field.data_type.is_numeric() => field.clone(),
        Some(field) => {
            return invalid(format!(
                "decay input field {input} must be numeric, got {}",
                field.data_type
            ));
        }
        None => return invalid(format!("input field {input} not found in collection schema")),
    };
    if scale <= 0.0 {
        return invalid(format!("decay: scale must be > 0, got {scale:.6}"));
    }
    if offset < 0.0 {
        return invalid(format!("decay: offset must be >= 0, got {offset:.6}"));
    }
    if decay <= 0.0 || decay >= 1.0 {
        return invalid(format!("decay: decay must be 0 < decay < 1, got {decay:.6}"));
    }
    if !(0.001..=0.999).contains(&decay) {
        return invalid(format!(
            "decay: decay must be between 0.001000 and 0.999000 for numerical stability, got \
             {decay:.6}"
        ));
    }
    let curve = match curve.as_str() {
        "gauss" => Curve::Gauss,
        "exp" => Curve::Exp,
        "linear" => Curve::Linear,
        other => {
            return invalid(format!(
                "decay: invalid function \"{other}\", must be one of [gauss, exp, linear]"
            ));
        }
    };
    let normalize = find(params, "norm_score").and_then(parse_bool).unwrap_or(false);
    Ok(Decay { field, curve, origin, scale, offset, decay, mode, normalize })
}

/// Refuses what cannot be the input of any ranker.
fn convertible(field: &FieldSchema) -> Result<()> {
    let scalar = field.data_type.is_numeric()
        || field.data_type.is_string()
        || matches!(field.data_type, DataType::Bool | DataType::Timestamptz);
    if scalar {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!("unsupported field type: {}", field.data_type)))
}

/// Checks a ranker by model as far as its own parameters go, then refuses it by name.
fn model(function: &RankFunction, schema: &CollectionSchema) -> Result<Ranker> {
    let [input] = function.input_fields.as_slice() else {
        return invalid(format!(
            "model reranker requires exactly 1 input field, got {}",
            function.input_fields.len()
        ));
    };
    match schema.field(input) {
        Some(field) if field.data_type == DataType::VarChar => {}
        Some(field) => {
            return invalid(format!(
                "model input field {input} must be VarChar, got {}",
                field.data_type
            ));
        }
        None => return invalid(format!("input field {input} not found in collection schema")),
    }
    let Some(queries) = param(&function.params, "queries") else {
        return invalid("rerank function missing required param: queries");
    };
    if let Err(error) = serde_json::from_str::<Vec<String>>(queries) {
        return invalid(format!("parse rerank params [queries] failed: {error}"));
    }
    invalid("model reranker is not supported yet")
}

/// What groups of a hybrid search are worth.
pub(crate) fn group_scorer(rank_params: &[KeyValue]) -> Result<Scorer> {
    match param(rank_params, "rank_group_scorer").unwrap_or("max") {
        "max" => Ok(Scorer::Max),
        "sum" => Ok(Scorer::Sum),
        "avg" => Ok(Scorer::Avg),
        other => Err(Failure::parameter_invalid(format!(
            "invalid group scorer \"{other}\", must be max/sum/avg"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(given: &[(&str, &str)]) -> Vec<KeyValue> {
        given.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect()
    }

    fn schema() -> CollectionSchema {
        let field = |name: &str, data_type| FieldSchema {
            name: name.to_owned(),
            data_type,
            ..FieldSchema::default()
        };
        let fields = vec![
            field("n", DataType::Int64),
            field("s", DataType::VarChar),
            field("j", DataType::JSON),
            field("t", DataType::Timestamptz),
        ];
        CollectionSchema { fields, ..CollectionSchema::default() }
    }

    fn of(inputs: &[&str], params: &[(&str, &str)]) -> Result<Option<Ranker>> {
        let input_fields = inputs.iter().map(|name| (*name).to_owned()).collect();
        let function = RankFunction { input_fields, params: pairs(params), ..Default::default() };
        let score = FunctionScore { functions: vec![function], params: vec![] };
        of_function_score(&score, &schema(), 2)
    }

    #[test]
    fn rankers_by_function_and_by_strategy() {
        assert_eq!(of(&[], &[("reranker", "RRF")]).unwrap(), Some(Ranker::Rrf { k: 60.0 }));
        assert_eq!(of(&[], &[("reranker", "boost"), ("weight", "2")]).unwrap(), None);
        let weighted = Ranker::Weighted { weights: vec![0.5, 1.0], normalize: true };
        let params = [("reranker", "weighted"), ("weights", "[0.5, 1]"), ("norm_score", "True")];
        assert_eq!(of(&[], &params).unwrap(), Some(weighted.clone()));
        let legacy =
            |strategy, params| of_legacy(&pairs(&[("strategy", strategy), ("params", params)]), 2);
        let text = r#"{"weights": [0.5, 1.0], "norm_score": true}"#;
        assert_eq!(legacy("weighted", text).unwrap(), weighted);
        assert_eq!(legacy("rrf", r#"{"k": 7}"#).unwrap(), Ranker::Rrf { k: 7.0 });
        assert_eq!(of_legacy(&[], 2).unwrap(), Ranker::Rrf { k: 60.0 });
        let decay = [
            ("reranker", "decay"),
            ("function", "gauss"),
            ("origin", "0"),
            ("offset", "1"),
            ("decay", "0.3"),
            ("scale", "100"),
        ];
        let Some(Ranker::Decay(decay)) = of(&["n"], &decay).unwrap() else {
            panic!("not a decay");
        };
        assert_eq!((decay.curve, decay.scale, decay.mode), (Curve::Gauss, 100.0, ScoreMode::Max));
    }

    #[test]
    fn unsound_rankers_are_refused_with_milvus_texts() {
        let decay = |extra: &[(&'static str, &'static str)]| {
            let mut params = vec![("reranker", "decay"), ("function", "exp"), ("origin", "0")];
            params.push(("scale", "1"));
            params.retain(|(key, _)| !extra.iter().any(|(k, _)| k == key));
            params.extend(extra.iter().filter(|(_, value)| !value.is_empty()));
            params
        };
        for (inputs, params, reason) in [
            (&[][..], vec![("reranker", "x")], "unsupported reranker x"),
            (&[], vec![], "reranker name not specified"),
            (
                &[],
                vec![("reranker", "rrf"), ("k", "0")],
                "The rank params k should be in range (0, 16384)",
            ),
            (
                &[],
                vec![("reranker", "weighted"), ("weights", "[1]")],
                "the length of weights param mismatch with ann search requests: invalid \
                 parameter[expected=2][actual=1]",
            ),
            (
                &[],
                vec![("reranker", "weighted"), ("weights", "[1, 2]")],
                "rank param weight should be in range [0, 1]",
            ),
            (&["n", "s"], decay(&[]), "decay reranker requires exactly 1 input field, got 2"),
            (&["s"], decay(&[]), "decay input field s must be numeric, got VarChar"),
            (&["t"], decay(&[]), "decay input field t must be numeric, got Timestamptz"),
            (&["j"], decay(&[]), "unsupported field type: JSON"),
            (&["nope"], decay(&[]), "input field nope not found in collection schema"),
            (&["n"], decay(&[("origin", "")]), "decay origin not specified"),
            (&["n"], decay(&[("scale", "x")]), "decay param scale: x is not a number"),
            (&["n"], decay(&[("scale", "0")]), "decay: scale must be > 0, got 0.000000"),
            (&["n"], decay(&[("decay", "1")]), "decay: decay must be 0 < decay < 1, got 1.000000"),
            (
                &["n"],
                decay(&[("function", "sine")]),
                "decay: invalid function \"sine\", must be one of [gauss, exp, linear]",
            ),
            (
                &["s"],
                vec![("reranker", "model"), ("queries", "x")],
                "parse rerank params [queries] failed",
            ),
        ] {
            let error = of(inputs, &params).unwrap_err();
            assert!(error.reason.contains(reason), "{error}");
        }
    }
}
