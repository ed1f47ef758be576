//! Parameters of indexes and searches: Milvus's names, defaults, ranges and texts.
//!
//! Values arrive as text. At creation a number is any text that reads as a whole number; at search
//! a value is JSON text, and a JSON string that holds a whole number counts as one. Parameters that
//! an index does not know are ignored, as in Milvus.
//!
//! Source: docs/compat/indexes.md.

use milvus_types::index_meta::find;
use milvus_types::{KeyValue, MetricType};

use crate::error::IndexParamError;
use crate::index_type::IndexType;
use crate::range::Range;
use crate::score::Metric;

/// The index of one field, checked: what to build over each segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// What it was created as.
    pub index_type: IndexType,
    /// How vectors are compared: L2, IP or COSINE.
    pub metric: MetricType,
    /// Floats of a vector.
    pub dim: usize,
    /// The family that serves it, and its parameters.
    pub kind: BuildKind,
}

/// A family of indexes with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildKind {
    /// Nothing to choose.
    Flat,
    /// A navigable graph.
    Graph(GraphParams),
}

/// The parameters of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphParams {
    /// `M`: links of a node in upper layers; twice as many in the lowest.
    pub m: usize,
    /// `efConstruction`: candidates considered for a node's links.
    pub ef_construction: usize,
}

/// Milvus's defaults of HNSW.
const HNSW: GraphParams = GraphParams { m: 30, ef_construction: 360 };
/// Milvus's parameters of AUTOINDEX over dense floats.
const AUTO: GraphParams = GraphParams { m: 18, ef_construction: 240 };

/// The least `ef` of a search of AUTOINDEX that names none.
const AUTO_EF: usize = 64;

/// The parameters of one search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchParams {
    /// `ef`: candidates a graph keeps while it walks, at least `k`.
    pub ef: usize,
}

impl SearchParams {
    /// Milvus's defaults for a search of `k` rows.
    pub fn for_k(k: usize) -> Self {
        Self { ef: k.max(16) }
    }
}

/// Checks the parameters of an index at creation: ranges and texts are Milvus's.
pub fn check_build_params(
    index_type: IndexType,
    metric: MetricType,
    dim: usize,
    params: &[KeyValue],
) -> Result<Build, IndexParamError> {
    if Metric::of(metric).is_none() {
        return Err(IndexParamError::Metric(metric.name().to_owned()));
    }
    let kind = match index_type {
        IndexType::Flat => BuildKind::Flat,
        IndexType::Hnsw => BuildKind::Graph(hnsw_params(params)?),
        IndexType::AutoIndex => BuildKind::Graph(AUTO),
    };
    Ok(Build { index_type, metric, dim, kind })
}

fn hnsw_params(params: &[KeyValue]) -> Result<GraphParams, IndexParamError> {
    if find(params, "refine").is_some_and(|refine| !refine.eq_ignore_ascii_case("false")) {
        let text = "refine is not supported for this index";
        return Err(IndexParamError::Create(text.to_owned()));
    }
    Ok(GraphParams {
        m: created("M", params, HNSW.m, 2, 2048)?,
        ef_construction: created("efConstruction", params, HNSW.ef_construction, 1, I32_MAX)?,
    })
}

const I32_MAX: i64 = i32::MAX as i64;

/// The whole number `key` of a creation's `params`.
fn created(
    key: &str,
    params: &[KeyValue],
    default: usize,
    least: i64,
    most: i64,
) -> Result<usize, IndexParamError> {
    let Some(text) = find(params, key).filter(|text| !matches!(*text, "" | "None" | "null")) else {
        return Ok(default);
    };
    let number = whole_number(key, text).map_err(IndexParamError::Create)?;
    in_range(key, number, least, most).map_err(IndexParamError::Create)
}

/// Reads `text` as C's `stoi` does: blanks, a sign, digits, and then nothing more.
fn whole_number(key: &str, text: &str) -> Result<i64, String> {
    let trimmed = text.trim_start();
    let digits_at = usize::from(trimmed.starts_with(['+', '-']));
    let (sign, rest) = trimmed.split_at(digits_at);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if digits == 0 {
        return Err(format!("invalid integer value, key: '{key}', value: '{text}'"));
    }
    let number = rest[..digits].parse::<i64>().ok().filter(|number| *number <= I32_MAX + 1);
    let number = match (sign, number) {
        ("-", Some(number)) => -number,
        (_, Some(number)) if number <= I32_MAX => number,
        _ => {
            return Err(format!("integer value out of range, key: '{key}', value: '{text}'"));
        }
    };
    if digits < rest.len() {
        return Err(format!("wrong data type in json, key: '{key}', value: '{text}'"));
    }
    Ok(number)
}

fn in_range(key: &str, number: i64, least: i64, most: i64) -> Result<usize, String> {
    match usize::try_from(number) {
        Ok(value) if (least..=most).contains(&number) => Ok(value),
        _ => Err(format!(
            "Out of range in json: param '{key}' ({number}) should be in range [{least}, {most}]"
        )),
    }
}

/// Checks the parameters of a search for `k` rows. Values of `params` are JSON text: `64`,
/// `"64"`, `64.0`, `true`, `null`.
pub fn check_search_params(
    index_type: IndexType,
    k: usize,
    params: &[KeyValue],
) -> Result<SearchParams, IndexParamError> {
    match index_type {
        IndexType::Flat => Ok(SearchParams::for_k(k)),
        IndexType::Hnsw | IndexType::AutoIndex => {
            let Some(text) = find(params, "ef") else {
                // AUTOINDEX promises good answers without tuning.
                let auto = index_type == IndexType::AutoIndex;
                let least = if auto { AUTO_EF.max(k + k / 2) } else { 0 };
                return Ok(SearchParams { ef: SearchParams::for_k(k).ef.max(least) });
            };
            let ef = searched("ef", text, 1, I32_MAX).map_err(IndexParamError::Search)?;
            if ef < k {
                let text = format!("ef({ef}) should be larger than k({k})");
                return Err(IndexParamError::Search(text));
            }
            Ok(SearchParams { ef })
        }
    }
}

/// A whole number given as JSON.
fn searched(key: &str, json: &str, least: i64, most: i64) -> Result<usize, String> {
    let json = match json.trim() {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        json => json,
    };
    let quoted = json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let number = if let Some(text) = quoted {
        whole_number(key, text)?
    } else if let Ok(number) = json.parse::<i64>() {
        number
    } else {
        return Err(format!("Type conflict in json: param '{key}' ({json}) should be integer"));
    };
    in_range(key, number, least, most)
}

/// The range that the parameters of a search ask for: `radius`, and `range_filter` inside it.
/// `None` where there is no `radius`.
pub fn check_range_params(
    metric: MetricType,
    params: &[KeyValue],
) -> Result<Option<Range>, IndexParamError> {
    let radius = float("radius", params)?;
    let range_filter = float("range_filter", params)?;
    let Some(radius) = radius else {
        if range_filter.is_some() {
            let text = "range_filter is given without radius".to_owned();
            return Err(IndexParamError::Search(text));
        }
        return Ok(None);
    };
    if let Some(filter) = range_filter {
        let (wrong, word) = if metric.larger_is_better() {
            (filter <= radius, "greater")
        } else {
            (filter >= radius, "less")
        };
        if wrong {
            return Err(IndexParamError::Search(format!(
                "metric type ({metric}), range_filter({filter}) must be {word} than radius({radius})"
            )));
        }
    }
    Ok(Some(Range { radius, range_filter }))
}

/// A number given as JSON, or as a JSON string that holds one.
fn float(key: &str, params: &[KeyValue]) -> Result<Option<f32>, IndexParamError> {
    let Some(json) = find(params, key) else {
        return Ok(None);
    };
    let text = json.trim().trim_matches('"');
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(IndexParamError::Search(format!(
            "Type conflict in json: param '{key}' ({}) should be a number",
            json.trim()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(key: &str, value: &str) -> Result<Build, String> {
        let params = [KeyValue::new(key, value)];
        check_build_params(IndexType::Hnsw, MetricType::L2, 8, &params)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn creation_takes_what_milvus_takes_and_says_what_milvus_says() {
        let graph = |m, ef_construction| BuildKind::Graph(GraphParams { m, ef_construction });
        assert_eq!(create("M", "16").unwrap().kind, graph(16, 360));
        assert_eq!(create("efConstruction", "10000").unwrap().kind, graph(30, 10000));
        assert_eq!(create("not_defined_param", "x").unwrap().kind, graph(30, 360));
        for (key, value, text) in [
            ("M", "-1", "Out of range in json: param 'M' (-1) should be in range [2, 2048]"),
            ("M", "2049", "Out of range in json: param 'M' (2049) should be in range [2, 2048]"),
            (
                "efConstruction",
                "0",
                "Out of range in json: param 'efConstruction' (0) should be in range [1, 2147483647]",
            ),
            ("M", "16.0", "wrong data type in json, key: 'M', value: '16.0'"),
            ("M", "True", "invalid integer value, key: 'M', value: 'True'"),
            ("M", "[16]", "invalid integer value, key: 'M', value: '[16]'"),
            ("M", "99999999999", "integer value out of range, key: 'M', value: '99999999999'"),
            ("refine", "true", "refine is not supported for this index"),
        ] {
            assert_eq!(create(key, value).unwrap_err(), format!("{text}: invalid parameter"));
        }
        let error = check_build_params(IndexType::Flat, MetricType::Hamming, 8, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "float vector index does not support metric type: HAMMING: invalid parameter\
             [expected=valid index params][actual=invalid index params]"
        );
        let auto = check_build_params(IndexType::AutoIndex, MetricType::Ip, 8, &[]).unwrap();
        assert_eq!(auto.kind, graph(18, 240));
    }

    #[test]
    fn ef_is_checked_as_milvus_does() {
        let search = |value: &str| {
            check_search_params(IndexType::Hnsw, 10, &[KeyValue::new("ef", value)])
                .map(|params| params.ef)
                .map_err(|error| error.to_string())
        };
        assert_eq!(search("64"), Ok(64));
        assert_eq!(search("\"32\""), Ok(32));
        for (value, text) in [
            ("1", "ef(1) should be larger than k(10)"),
            ("-1", "Out of range in json: param 'ef' (-1) should be in range [1, 2147483647]"),
            ("32.0", "Type conflict in json: param 'ef' (32.0) should be integer"),
            ("true", "Type conflict in json: param 'ef' (true) should be integer"),
            ("None", "Type conflict in json: param 'ef' (null) should be integer"),
            ("[32]", "Type conflict in json: param 'ef' ([32]) should be integer"),
        ] {
            assert_eq!(search(value), Err(text.to_owned()));
        }
        let none = check_search_params(IndexType::AutoIndex, 100, &[]).unwrap();
        assert_eq!(none.ef, 150);
        assert_eq!(check_search_params(IndexType::Hnsw, 100, &[]).unwrap().ef, 100);
        assert_eq!(check_search_params(IndexType::Hnsw, 3, &[]).unwrap().ef, 16);
        let flat = [KeyValue::new("ef", "junk")];
        assert!(check_search_params(IndexType::Flat, 3, &flat).is_ok());
    }

    #[test]
    fn ranges_must_not_be_empty() {
        let range = |metric, radius: &str, filter: &str| {
            let params = [KeyValue::new("radius", radius), KeyValue::new("range_filter", filter)];
            check_range_params(metric, &params).map_err(|error| error.to_string())
        };
        let want = Range { radius: 2.5, range_filter: Some(1.0) };
        assert_eq!(range(MetricType::L2, "2.5", "\"1\""), Ok(Some(want)));
        assert_eq!(
            range(MetricType::L2, "1", "2"),
            Err("metric type (L2), range_filter(2) must be less than radius(1)".to_owned())
        );
        assert_eq!(
            range(MetricType::Cosine, "0.9", "0.5"),
            Err("metric type (COSINE), range_filter(0.5) must be greater than radius(0.9)"
                .to_owned())
        );
        assert!(range(MetricType::L2, "x", "1").is_err());
        assert_eq!(check_range_params(MetricType::L2, &[]), Ok(None));
        let alone = [KeyValue::new("range_filter", "1")];
        assert!(check_range_params(MetricType::L2, &alone).is_err());
    }
}
