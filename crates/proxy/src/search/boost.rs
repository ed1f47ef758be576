//! Boosts: functions of a function score that segments apply to their hits.

use milvus_expr::Templates;
use milvus_segment::{Boost, BoostMode, Boosts, RandomScore};
use milvus_types::{CollectionSchema, DataType, ErrorCode, Failure, KeyValue, Result};

use crate::api::{FunctionScore, RankFunction};
use crate::plan;
use crate::rerank::params::{BOOST, name};
use crate::wire_text::param;

fn refused(what: impl std::fmt::Display) -> Failure {
    Failure::parameter_invalid(format!("failed to create query plan: {what}"))
}

fn plan_failed(what: impl std::fmt::Display) -> Failure {
    refused(format!("{what}: query plan failed"))
}

/// The boosts among the functions of `score`.
pub(crate) fn parse(
    score: &FunctionScore,
    templates: &Templates,
    schema: &CollectionSchema,
    zone: &str,
) -> Result<Option<Boosts>> {
    let boosts = score.functions.iter().filter(|function| name(function) == BOOST);
    let functions: Vec<Boost> =
        boosts.map(|function| boost(function, templates, schema, zone)).collect::<Result<_>>()?;
    if functions.is_empty() {
        return Ok(None);
    }
    Ok(Some(Boosts {
        boost_mode: mode(&score.params, "boost_mode", "boost")?,
        function_mode: mode(&score.params, "function_mode", "function")?,
        functions,
    }))
}

fn mode(params: &[KeyValue], key: &str, what: &str) -> Result<BoostMode> {
    match param(params, key).map(str::to_lowercase).as_deref() {
        None | Some("multiply") => Ok(BoostMode::Multiply),
        Some("sum") => Ok(BoostMode::Sum),
        Some(other) => Err(refused(format!("unknown {what} mode: {other}: invalid parameter"))),
    }
}

fn boost(
    function: &RankFunction,
    templates: &Templates,
    schema: &CollectionSchema,
    zone: &str,
) -> Result<Boost> {
    let params = &function.params;
    let filter = match param(params, "filter").filter(|filter| !filter.is_empty()) {
        Some(filter) => Some(
            plan::planned(filter, templates, schema, zone)
                .map_err(|reason| plan_failed(format!("parse expr failed: {reason}")))?,
        ),
        None => None,
    };
    let weight = param(params, "weight")
        .ok_or_else(|| plan_failed("must set weight params for weight scorer"))?;
    let weight =
        weight.parse::<f32>().ok().filter(|weight| weight.is_finite()).ok_or_else(|| {
            plan_failed(format!(
                "parse function scorer weight params failed: {weight} is not a number"
            ))
        })?;
    let random = param(params, "random_score").map(|text| random(text, schema)).transpose()?;
    Ok(Boost { filter, weight, random })
}

fn random(text: &str, schema: &CollectionSchema) -> Result<RandomScore> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| refused(format!("random_score: {error}")))?;
    let seed = match object.get("seed") {
        None => 0,
        Some(serde_json::Value::Number(seed)) => seed.as_i64().ok_or_else(|| {
            refused(format!("parse boost random seed params failed: {seed} is not an integer"))
        })?,
        Some(_) => return Err(refused("random seed must be number: invalid parameter")),
    };
    let column = match object.get("field") {
        None => None,
        Some(serde_json::Value::String(name)) => {
            let field = schema.field(name).ok_or_else(|| {
                let failure = Failure::with_fields(ErrorCode::FieldNotFound, &[("field", name)]);
                let failure = failure.context("random seed field not found");
                Failure::new(
                    failure.code,
                    format!("failed to create query plan: {}", failure.reason),
                )
            })?;
            if field.data_type != DataType::Int64 {
                return Err(refused(format!(
                    "only support int64 field as random seed, but got {}: invalid parameter",
                    field.data_type
                )));
            }
            Some(field.name.clone())
        }
        Some(_) => return Err(refused("random seed field name must be string: invalid parameter")),
    };
    Ok(RandomScore { seed, column })
}

#[cfg(test)]
mod tests {
    use milvus_types::FieldSchema;

    use super::*;

    fn read(params: &[(&str, &str)], modes: &[(&str, &str)]) -> Result<Option<Boosts>> {
        let pairs = |given: &[(&str, &str)]| {
            given.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect::<Vec<_>>()
        };
        let function = RankFunction { params: pairs(params), ..RankFunction::default() };
        let score = FunctionScore { functions: vec![function], params: pairs(modes) };
        let fields = vec![
            FieldSchema { name: "n".to_owned(), ..FieldSchema::default() },
            FieldSchema {
                name: "s".to_owned(),
                data_type: DataType::VarChar,
                ..FieldSchema::default()
            },
        ];
        let schema = CollectionSchema { fields, ..CollectionSchema::default() };
        parse(&score, &Templates::default(), &schema, "UTC")
    }

    #[test]
    fn boosts_and_what_is_wrong_with_them() {
        let boost = ("reranker", "boost");
        let all = [
            boost,
            ("weight", "1.5"),
            ("filter", "n > 3"),
            ("random_score", r#"{"seed": 7, "field": "n"}"#),
        ];
        let boosts = read(&all, &[("boost_mode", "Sum")]).unwrap().unwrap();
        assert_eq!(
            (boosts.boost_mode, boosts.function_mode),
            (BoostMode::Sum, BoostMode::Multiply)
        );
        let one = &boosts.functions[0];
        assert_eq!((one.weight, one.random.as_ref().unwrap().seed), (1.5, 7));
        assert!(one.filter.is_some());
        assert!(read(&[("reranker", "rrf")], &[]).unwrap().is_none());
        for (params, modes, reason) in [
            (&[boost][..], &[][..], "must set weight params for weight scorer"),
            (&[boost, ("weight", "x")], &[], "parse function scorer weight params failed"),
            (&[boost, ("weight", "1"), ("filter", "nope > 1")], &[], "parse expr failed"),
            (&[boost, ("weight", "1")], &[("boost_mode", "x")], "unknown boost mode: x"),
            (
                &[boost, ("weight", "1"), ("random_score", r#"{"field": "s"}"#)],
                &[],
                "only support int64 field as random seed, but got VarChar",
            ),
        ] {
            let error = read(params, modes).unwrap_err();
            assert!(error.reason.contains(reason), "{error}");
        }
    }
}
