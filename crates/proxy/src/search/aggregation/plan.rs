//! What a search aggregation asks for, resolved against the schema, with Milvus's texts.

use milvus_expr::parse_identifier;
use milvus_types::{CollectionSchema, DataType, Failure, FieldId, FieldSchema, Result};

use crate::api::{AggregationSpec, MetricSpec, SortSpec, TopHitsSpec};
use crate::metric::Op;
use crate::search::group_by::{GroupField, Grouping};

/// Levels there may be.
const MAX_LEVELS: usize = 4;
/// `proxy.maxSearchAggregationResultEntries`.
const MAX_ENTRIES: i64 = 1_000_000;

/// A search aggregation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AggregationPlan {
    pub(crate) levels: Vec<Level>,
    /// Columns besides those grouped by that metrics and orders need.
    pub(crate) columns: Vec<FieldSchema>,
    /// Groups of the search behind it.
    pub(crate) top_k: usize,
    /// How that search groups.
    pub(crate) grouping: Grouping,
}

/// One level of buckets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Level {
    pub(crate) fields: Vec<FieldSchema>,
    pub(crate) size: usize,
    /// By alias.
    pub(crate) metrics: Vec<(String, Op, Source)>,
    pub(crate) order: Vec<(BucketKey, bool)>,
    pub(crate) top_hits: Option<TopHits>,
}

/// What a metric or an order of hits reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Score,
    /// Every row, whatever it holds.
    All,
    Field(FieldId),
}

/// What buckets are ordered by; beside it whether ascending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BucketKey {
    Count,
    Key,
    Metric(String),
}

/// The hits of a bucket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopHits {
    pub(crate) size: usize,
    /// Source, ascending, nulls first.
    pub(crate) sort: Vec<(Source, bool, bool)>,
}

fn invalid<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Failure::parameter_invalid(what))
}

/// Resolves `spec` for `nq` queries.
pub(crate) fn plan(
    spec: &AggregationSpec,
    schema: &CollectionSchema,
    nq: i64,
) -> Result<AggregationPlan> {
    let mut builder = Builder { schema, levels: Vec::new(), columns: Vec::new() };
    let specs: Vec<&AggregationSpec> =
        std::iter::successors(Some(spec), |spec| spec.sub_aggregation.as_deref()).collect();
    if specs.len() > MAX_LEVELS {
        return invalid(format!("search_aggregation nesting exceeds max {MAX_LEVELS} levels"));
    }
    let mut top_k = 1_i64;
    for spec in &specs {
        let level = builder.level(spec)?;
        let searched = if spec.search_size > 0 { spec.search_size } else { spec.size.max(1) };
        let Some(product) = top_k.checked_mul(searched) else {
            return invalid("search_aggregation derived topK overflows int64");
        };
        top_k = product;
        builder.levels.push(level);
    }
    let Builder { levels, columns, .. } = builder;
    let group_size =
        levels.iter().filter_map(|l| l.top_hits.as_ref()).map(|hits| hits.size).max().unwrap_or(1);
    let rows = i64::try_from(group_size).unwrap_or(i64::MAX);
    let entries = nq.checked_mul(top_k).and_then(|groups| groups.checked_mul(rows));
    if entries.is_none_or(|entries| entries > MAX_ENTRIES) {
        return invalid("number of search_aggregation result entries is too large");
    }
    let fields = levels.iter().flat_map(|level| &level.fields);
    let group = |field: &FieldSchema| GroupField {
        field: field.clone(),
        path: Vec::new(),
        json_type: None,
        strict_cast: false,
    };
    let grouping = Grouping {
        fields: fields.map(group).collect(),
        size: group_size,
        strict: true,
        legacy: false,
    };
    let top_k = usize::try_from(top_k).unwrap_or(usize::MAX);
    Ok(AggregationPlan { columns, top_k, grouping, levels })
}

struct Builder<'s> {
    schema: &'s CollectionSchema,
    levels: Vec<Level>,
    columns: Vec<FieldSchema>,
}

impl Builder<'_> {
    fn level(&mut self, spec: &AggregationSpec) -> Result<Level> {
        if spec.fields.is_empty() {
            return invalid("group_by level has no fields");
        }
        if spec.size < 0 {
            return invalid("search_aggregation size must be non-negative");
        }
        if spec.search_size < 0 {
            return invalid("search_aggregation search_size must be non-negative");
        }
        let size = spec.size.max(1);
        if spec.search_size > 0 && spec.search_size < size {
            return invalid("search_aggregation search_size must be greater than or equal to size");
        }
        let fields = self.keys(&spec.fields)?;
        let metrics = spec.metrics.iter().map(|(alias, metric)| self.metric(alias, metric));
        let metrics: Vec<_> = metrics.collect::<Result<_>>()?;
        let top_hits = spec.top_hits.as_ref().map(|hits| self.top_hits(hits)).transpose()?;
        let order = spec.order.iter().map(|criterion| order(criterion, &metrics));
        let order = order.collect::<Result<_>>()?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(Level { fields, size, metrics, order, top_hits })
    }

    fn keys(&self, names: &[String]) -> Result<Vec<FieldSchema>> {
        let mut fields: Vec<FieldSchema> = Vec::with_capacity(names.len());
        for name in names {
            let field = self.field(name).map_err(|failure| {
                Failure::new(
                    failure.code,
                    format!("invalid group_by field \"{name}\": {}", failure.reason),
                )
            })?;
            self.supported(name, &field, "group_by field")?;
            if field.data_type.is_floating() {
                return invalid(format!(
                    "group_by field \"{name}\": FLOAT / DOUBLE fields are not supported with \
                     search_aggregation (BucketKeyEntry has no float variant; equality on floats \
                     is fragile)"
                ));
            }
            if fields.iter().any(|known| known.id == field.id) {
                return invalid(format!("duplicated group_by field \"{name}\" in one level"));
            }
            let above = self.levels.iter().flat_map(|level| &level.fields);
            if above.into_iter().any(|known| known.id == field.id) {
                return invalid(format!("duplicated group_by field \"{name}\" across levels"));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn metric(&mut self, alias: &str, metric: &MetricSpec) -> Result<(String, Op, Source)> {
        if alias.trim().is_empty() {
            let code = milvus_types::ErrorCode::ParameterMissing;
            return Err(Failure::wrap(code, "metric alias cannot be empty"));
        }
        let read = self.metric_source(metric).map_err(|failure| {
            Failure::new(failure.code, format!("invalid metric \"{alias}\": {}", failure.reason))
        });
        read.map(|(op, source)| (alias.to_owned(), op, source))
    }

    fn metric_source(&mut self, metric: &MetricSpec) -> Result<(Op, Source)> {
        let Some(op) = Op::parse(metric.op.trim()) else {
            return invalid(format!("unsupported metric op \"{}\"", metric.op));
        };
        match metric.field_name.trim() {
            "" => invalid("metric field_name is empty"),
            "_score" => Ok((op, Source::Score)),
            "*" if op == Op::Count => Ok((op, Source::All)),
            "*" => invalid("field_name '*' only supports count op"),
            name => {
                let field = self.field(name)?;
                self.supported(name, &field, "metric field")?;
                op.check(field.data_type)?;
                Ok((op, self.column(field)))
            }
        }
    }

    fn top_hits(&mut self, hits: &TopHitsSpec) -> Result<TopHits> {
        if hits.size < 0 {
            return invalid("top_hits size must be non-negative");
        }
        let mut sort = Vec::with_capacity(hits.sort.len());
        for criterion in &hits.sort {
            let name = criterion.name.trim();
            if name.is_empty() {
                return invalid("top_hits.sort field_name is empty");
            }
            let what = format!("invalid top_hits.sort direction for \"{name}\"");
            let ascending = ascending(&criterion.direction, &what)?;
            let source = if name == "_score" {
                Source::Score
            } else if name.contains('[') && name.contains(']') {
                return invalid(format!(
                    "top_hits.sort JSON path is not yet supported: \"{name}\""
                ));
            } else {
                let field = self.field(name).map_err(|failure| {
                    let reason = failure.reason;
                    Failure::new(
                        failure.code,
                        format!("invalid top_hits.sort field \"{name}\": {reason}"),
                    )
                })?;
                self.supported(name, &field, "top_hits.sort field")?;
                self.column(field)
            };
            sort.push((source, ascending, criterion.null_first));
        }
        Ok(TopHits { size: usize::try_from(hits.size.max(1)).unwrap_or(usize::MAX), sort })
    }

    fn column(&mut self, field: FieldSchema) -> Source {
        let source = Source::Field(field.id);
        if !self.columns.iter().any(|known| known.id == field.id) {
            self.columns.push(field);
        }
        source
    }

    /// The field that `name` means; the JSON field of a path, the dynamic field of a key.
    fn field(&self, name: &str) -> Result<FieldSchema> {
        let name = name.trim();
        if name.is_empty() {
            return invalid("field is empty");
        }
        let found = self.schema.field(name).or_else(|| {
            let identifier = parse_identifier(name, self.schema).ok()?;
            self.schema.field_by_id(identifier.field)
        });
        found.cloned().ok_or_else(|| {
            Failure::parameter_invalid(format!("field \"{name}\" not found in schema"))
        })
    }

    fn supported(&self, name: &str, field: &FieldSchema, usage: &str) -> Result<()> {
        if field.data_type == DataType::JSON || field.is_dynamic {
            return invalid(format!(
                "{usage} \"{name}\": JSON / dynamic fields are not yet supported with \
                 search_aggregation"
            ));
        }
        Ok(())
    }
}

fn order(criterion: &SortSpec, metrics: &[(String, Op, Source)]) -> Result<(BucketKey, bool)> {
    let key = match criterion.name.trim() {
        "" => return invalid("order key is empty"),
        "_count" => BucketKey::Count,
        "_key" => BucketKey::Key,
        name if metrics.iter().any(|(alias, _, _)| alias == name) => {
            BucketKey::Metric(name.to_owned())
        }
        name => {
            return invalid(format!(
                "order key \"{name}\" is neither reserved key nor metric alias"
            ));
        }
    };
    let what = format!("invalid order direction for key \"{}\"", criterion.name.trim());
    Ok((key, ascending(&criterion.direction, &what)?))
}

fn ascending(direction: &str, what: &str) -> Result<bool> {
    match direction.trim().to_lowercase().as_str() {
        "" | "desc" => Ok(false),
        "asc" => Ok(true),
        _ => invalid(format!("{what}: direction must be asc or desc: invalid parameter")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn schema() -> CollectionSchema {
        let field = |id, name: &str, data_type| FieldSchema {
            id: FieldId(id),
            name: name.to_owned(),
            data_type,
            ..FieldSchema::default()
        };
        let fields = vec![
            field(100, "brand", DataType::VarChar),
            field(101, "year", DataType::Int64),
            field(102, "price", DataType::Double),
            field(103, "json", DataType::JSON),
        ];
        CollectionSchema { fields, ..CollectionSchema::default() }
    }

    fn level(fields: &[&str], size: i64) -> AggregationSpec {
        let fields = fields.iter().map(|name| (*name).to_owned()).collect();
        AggregationSpec { fields, size, ..AggregationSpec::default() }
    }

    #[test]
    fn levels_multiply_and_the_largest_top_hits_count() {
        let mut spec = AggregationSpec { search_size: 8, ..level(&["brand"], 4) };
        let sub = AggregationSpec {
            top_hits: Some(TopHitsSpec { size: 3, sort: vec![] }),
            ..level(&["year"], 5)
        };
        spec.sub_aggregation = Some(Box::new(sub));
        let plan = plan(&spec, &schema(), 2).unwrap();
        assert_eq!((plan.top_k, plan.grouping.size, plan.grouping.fields.len()), (40, 3, 2));
    }

    #[test]
    fn unsound_aggregations_are_refused_with_milvus_texts() {
        let metric = |op: &str, field: &str| {
            let metric = MetricSpec { op: op.to_owned(), field_name: field.to_owned() };
            let metrics = [("m".to_owned(), metric)].into();
            AggregationSpec { metrics, ..level(&["brand"], 1) }
        };
        let sorted = |name: &str| {
            let sort = vec![SortSpec { name: name.to_owned(), ..SortSpec::default() }];
            AggregationSpec {
                top_hits: Some(TopHitsSpec { size: 1, sort }),
                ..level(&["brand"], 1)
            }
        };
        for (spec, reason) in [
            (level(&["nope"], 1), "field \"nope\" not found in schema"),
            (
                level(&["price"], 1),
                "FLOAT / DOUBLE fields are not supported with search_aggregation",
            ),
            (
                level(&["json"], 1),
                "JSON / dynamic fields are not yet supported with search_aggregation",
            ),
            (level(&["brand", "brand"], 1), "duplicated group_by field \"brand\" in one level"),
            (
                level(&["brand"], 2_000_000),
                "number of search_aggregation result entries is too large",
            ),
            (metric("median", "price"), "unsupported metric op \"median\""),
            (metric("sum", "*"), "field_name '*' only supports count op"),
            (metric("sum", "brand"), "aggregation operator sum does not support data type VarChar"),
            (sorted(r#"json["a"]"#), "top_hits.sort JSON path is not yet supported"),
        ] {
            let error = plan(&spec, &schema(), 1).unwrap_err();
            assert!(error.reason.contains(reason), "{error}");
        }
        let mut deep = level(&["brand"], 1);
        for _ in 0..4 {
            deep = AggregationSpec { sub_aggregation: Some(Box::new(deep)), ..level(&["year"], 1) };
        }
        let error = plan(&deep, &schema(), 1).unwrap_err();
        assert!(error.reason.starts_with("search_aggregation nesting exceeds max 4 levels"));
    }
}
