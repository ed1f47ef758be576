//! Elements of struct arrays in a hybrid search: the hits of a row's elements made one hit of the
//! row, as `element_scope` says.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use milvus_types::{DataType, ErrorCode, Failure, FieldSchema, MetricType, Result};
use serde_json::Value;

use crate::search::merge::Hit;
use crate::search::placeholder::is_lists;
use crate::search::plan::Draft;

/// What a search compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Vectors of rows.
    Rows,
    /// Lists of vectors of rows.
    Lists,
    /// Each vector of a list; the struct array they belong to.
    Element(String),
}

impl Kind {
    /// What a search of `field` with a placeholder of type `placeholder` compares.
    pub(crate) fn of(field: &FieldSchema, placeholder: i32) -> Self {
        match field.struct_name() {
            Some((owner, _)) if field.data_type == DataType::ArrayOfVector => {
                if placeholder == 0 || is_lists(placeholder) {
                    Self::Lists
                } else {
                    Self::Element(owner.to_owned())
                }
            }
            _ => Self::Rows,
        }
    }
}

/// Whether all searches compare elements of one struct array.
pub(crate) fn of_one_struct(kinds: &[Kind]) -> bool {
    matches!(kinds, [Kind::Element(_), ..]) && kinds.windows(2).all(|pair| pair[0] == pair[1])
}

/// How the scores of a row's elements become the row's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Collapse {
    /// The best one.
    #[default]
    Max,
    /// All, or the so many best.
    Sum(Option<usize>),
    Avg(Option<usize>),
}

impl Collapse {
    /// Sums of distances mean nothing.
    pub(crate) fn check_metric(self, metric: MetricType) -> Result<()> {
        let strategy = match self {
            Self::Sum(None) => "sum",
            Self::Sum(Some(_)) => "topk_sum",
            Self::Max | Self::Avg(_) => return Ok(()),
        };
        if metric.larger_is_better() {
            return Ok(());
        }
        invalid(format!(
            "element_scope.collapse.strategy {strategy} is only supported for positively related \
             metrics"
        ))
    }
}

fn invalid<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Failure::parameter_invalid(what))
}

fn missing<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Failure::wrap(ErrorCode::ParameterMissing, what))
}

/// Takes `element_scope` out of a search's parameters.
pub(crate) fn scope(draft: &mut Draft, kind: &Kind) -> Result<Option<Collapse>> {
    let entries = &mut draft.params.search;
    let Some(at) = entries.iter().position(|pair| pair.key == "element_scope") else {
        return Ok(None);
    };
    let text = entries.remove(at).value;
    let scope = parse(&text)?;
    if !matches!(kind, Kind::Element(_)) {
        return invalid(
            "element_scope is only supported for element-level search on struct array vector \
             sub-fields",
        );
    }
    Ok(Some(scope))
}

fn parse(text: &str) -> Result<Collapse> {
    let Ok(Value::Object(scope)) = serde_json::from_str(text) else {
        return invalid("element_scope must be a JSON object");
    };
    if let Some(key) = scope.keys().find(|key| *key != "collapse") {
        return invalid(format!("unsupported element_scope key: {key}"));
    }
    let collapse = match scope.get("collapse") {
        Some(Value::Object(collapse)) => collapse,
        Some(_) => return invalid("element_scope.collapse must be a JSON object"),
        None => return missing("element_scope.collapse is required"),
    };
    if let Some(key) = collapse.keys().find(|key| !matches!(key.as_str(), "strategy" | "topk")) {
        return invalid(format!("unsupported element_scope.collapse key: {key}"));
    }
    let strategy = match collapse.get("strategy") {
        Some(Value::String(strategy)) => strategy.trim(),
        Some(_) => return invalid("element_scope.collapse.strategy must be a string"),
        None => "",
    };
    if strategy.is_empty() {
        return missing("element_scope.collapse.strategy is required");
    }
    if !matches!(strategy, "max" | "sum" | "avg" | "topk_sum" | "topk_avg") {
        return invalid(format!("unsupported element_scope.collapse.strategy: {strategy}"));
    }
    let top_k = match collapse.get("topk") {
        None => None,
        Some(value) => match value.as_i64() {
            None => return invalid("element_scope.collapse.topk must be an integer"),
            Some(top_k) if top_k <= 0 => {
                return invalid("element_scope.collapse.topk must be positive");
            }
            Some(top_k) => Some(usize::try_from(top_k).unwrap_or(usize::MAX)),
        },
    };
    match (strategy, top_k) {
        ("topk_sum", Some(_)) => Ok(Collapse::Sum(top_k)),
        ("topk_avg", Some(_)) => Ok(Collapse::Avg(top_k)),
        ("topk_sum" | "topk_avg", None) => {
            missing(format!("element_scope.collapse.topk is required for strategy {strategy}"))
        }
        (_, Some(_)) => invalid("element_scope.collapse.topk is only valid for topk strategies"),
        ("sum", None) => Ok(Collapse::Sum(None)),
        ("avg", None) => Ok(Collapse::Avg(None)),
        (_, None) => Ok(Collapse::Max),
    }
}

/// One hit for each row, best first; rows of one score in the order of their first elements.
pub(crate) fn collapse(hits: Vec<Hit>, into: &Collapse, metric: MetricType) -> Vec<Hit> {
    let mut places = HashMap::new();
    let mut rows: Vec<Vec<Hit>> = Vec::new();
    for hit in hits {
        match places.entry(hit.key.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(rows.len());
                rows.push(vec![hit]);
            }
            Entry::Occupied(entry) => rows[*entry.get()].push(hit),
        }
    }
    // Hits come best first, so the best elements of a row are its first.
    let mut rows: Vec<Hit> = rows
        .into_iter()
        .filter_map(|elements| {
            let (count, average) = match into {
                Collapse::Max => (Some(1), false),
                Collapse::Sum(count) => (*count, false),
                Collapse::Avg(count) => (*count, true),
            };
            let counted = count.unwrap_or(usize::MAX).min(elements.len());
            let sum: f32 = elements.iter().take(counted).map(|hit| hit.score).sum();
            #[expect(clippy::cast_precision_loss, reason = "rows have few elements")]
            let score = if average { sum / counted.max(1) as f32 } else { sum };
            let best = elements.into_iter().next()?;
            Some(Hit { score, element: None, ..best })
        })
        .collect();
    rows.sort_by(|a, b| {
        if metric.larger_is_better() {
            b.score.total_cmp(&a.score)
        } else {
            a.score.total_cmp(&b.score)
        }
    });
    rows
}

#[cfg(test)]
mod tests {
    use milvus_roles::RowLocation;
    use milvus_types::{PrimaryKey, SegmentId};

    use super::*;

    #[test]
    fn rows_are_scored_by_their_elements() {
        let hit = |key: i64, element, score| Hit {
            score,
            key: PrimaryKey::Int64(key),
            element: Some(element),
            shard: 0,
            location: RowLocation { segment_id: SegmentId(0), row: 0 },
            group: None,
        };
        let hits = || vec![hit(1, 0, 0.9), hit(2, 3, 0.8), hit(2, 1, 0.7), hit(1, 2, 0.1)];
        let of = |into| {
            let rows = collapse(hits(), &into, MetricType::Ip);
            rows.iter().map(|hit| (hit.key.to_string(), hit.score)).collect::<Vec<_>>()
        };
        let row = |key: &str, score| (key.to_owned(), score);
        assert_eq!(of(Collapse::Max), [row("1", 0.9), row("2", 0.8)]);
        assert_eq!(of(Collapse::Sum(None)), [row("2", 0.8 + 0.7), row("1", 0.9 + 0.1)]);
        assert_eq!(of(Collapse::Avg(None)), [row("2", (0.8 + 0.7) / 2.0), row("1", 0.5)]);
        assert_eq!(of(Collapse::Sum(Some(1))), [row("1", 0.9), row("2", 0.8)]);
    }

    #[test]
    fn scopes_and_what_is_wrong_with_them() {
        let sound = [
            (r#"{"collapse": {"strategy": "max"}}"#, Collapse::Max),
            (r#"{"collapse": {"strategy": "topk_avg", "topk": 3}}"#, Collapse::Avg(Some(3))),
        ];
        for (text, collapse) in sound {
            assert_eq!(parse(text).unwrap(), collapse);
        }
        for (text, reason) in [
            ("[]", "element_scope must be a JSON object"),
            (r#"{"x": 1}"#, "unsupported element_scope key: x"),
            ("{}", "element_scope.collapse is required"),
            (
                r#"{"collapse": {"strategy": "x"}}"#,
                "unsupported element_scope.collapse.strategy: x",
            ),
            (
                r#"{"collapse": {"strategy": "topk_sum"}}"#,
                "element_scope.collapse.topk is required for strategy topk_sum",
            ),
            (
                r#"{"collapse": {"strategy": "sum", "topk": 2}}"#,
                "element_scope.collapse.topk is only valid for topk strategies",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
        assert!(Collapse::Sum(None).check_metric(MetricType::L2).is_err());
        assert!(Collapse::Max.check_metric(MetricType::L2).is_ok());
    }
}
