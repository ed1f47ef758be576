//! Folding the hits of one query into buckets.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use arrow::array::ArrayRef;
use milvus_types::{FieldId, FieldSchema, PrimaryKey, Value};

use super::plan::{AggregationPlan, BucketKey, Level, Source, TopHits};
use crate::api::{Bucket, BucketHit, NamedValue};
use crate::cell::{Cell, Key};
use crate::metric::{Metric, cell_of_optional, value_of};

/// A hit and the values it was grouped by, in the order of all levels' fields.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: PrimaryKey,
    pub(crate) score: f32,
    pub(crate) group: Vec<Key>,
    /// Its row in the columns.
    pub(crate) at: usize,
}

/// Buckets of `rows`, which come best first. `columns` are those of the plan by field;
/// `output` what is shown of hits.
pub(crate) fn compute(
    plan: &AggregationPlan,
    rows: &[Row],
    columns: &HashMap<FieldId, ArrayRef>,
    output: &[(FieldSchema, ArrayRef)],
) -> Vec<Bucket> {
    let folding = Folding { plan, columns, output };
    folding.level(0, 0, &rows.iter().collect::<Vec<_>>())
}

struct Folding<'a> {
    plan: &'a AggregationPlan,
    columns: &'a HashMap<FieldId, ArrayRef>,
    output: &'a [(FieldSchema, ArrayRef)],
}

struct Building<'r> {
    key: Vec<Key>,
    rows: Vec<&'r Row>,
    metrics: BTreeMap<String, Value>,
}

impl Folding<'_> {
    /// Buckets of level `number`, whose first field is number `first` of all.
    fn level(&self, number: usize, first: usize, rows: &[&Row]) -> Vec<Bucket> {
        let Some(level) = self.plan.levels.get(number) else {
            return Vec::new();
        };
        let behind = first + level.fields.len();
        let mut places: HashMap<&[Key], usize> = HashMap::new();
        let mut buckets: Vec<Building<'_>> = Vec::new();
        for row in rows {
            let key = row.group.get(first..behind).unwrap_or_default();
            let at = *places.entry(key).or_insert_with(|| {
                let (rows, metrics) = (Vec::new(), BTreeMap::new());
                buckets.push(Building { key: key.to_vec(), rows, metrics });
                buckets.len() - 1
            });
            buckets[at].rows.push(row);
        }
        for bucket in &mut buckets {
            bucket.metrics = self.metrics(level, &bucket.rows);
        }
        buckets.sort_by(|a, b| by_order(level, a, b));
        buckets.truncate(level.size);
        let whole = |bucket: Building<'_>| Bucket {
            key: named(&level.fields, &bucket.key),
            count: i64::try_from(bucket.rows.len()).unwrap_or(i64::MAX),
            metrics: bucket.metrics,
            hits: level.top_hits.as_ref().map_or(Vec::new(), |hits| self.hits(hits, &bucket.rows)),
            sub_buckets: self.level(number + 1, behind, &bucket.rows),
        };
        buckets.into_iter().map(whole).collect()
    }

    fn metrics(&self, level: &Level, rows: &[&Row]) -> BTreeMap<String, Value> {
        let metric = |(alias, op, source): &(String, crate::metric::Op, Source)| {
            let mut metric = Metric::new(*op);
            for row in rows {
                match source {
                    Source::All => metric.add_row(),
                    Source::Score | Source::Field(_) => metric.add(self.read(*source, row)),
                }
            }
            metric.result().map(|value| (alias.clone(), value))
        };
        level.metrics.iter().filter_map(metric).collect()
    }

    fn read(&self, source: Source, row: &Row) -> Cell<'_> {
        match source {
            Source::Score => Cell::Float(row.score.into()),
            Source::All => Cell::Null,
            Source::Field(id) => {
                self.columns.get(&id).map_or(Cell::Null, |column| Cell::of(column, row.at))
            }
        }
    }

    fn hits(&self, hits: &TopHits, rows: &[&Row]) -> Vec<BucketHit> {
        let mut sorted = rows.to_vec();
        // Rows come best first: a stable order leaves ties as they are.
        sorted.sort_by(|a, b| {
            let by = |&(source, ascending, nulls_first): &(Source, bool, bool)| {
                let (a, b) = (self.read(source, a), self.read(source, b));
                match (a.is_null(), b.is_null()) {
                    (true, true) => Ordering::Equal,
                    (true, false) if nulls_first => Ordering::Less,
                    (true, false) => Ordering::Greater,
                    (false, true) if nulls_first => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) if ascending => a.compare(&b),
                    (false, false) => b.compare(&a),
                }
            };
            hits.sort.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        let hit = |row: &&Row| BucketHit {
            key: row.key.clone(),
            score: row.score,
            fields: self
                .output
                .iter()
                .map(|(field, column)| shown(field, column, row.at))
                .collect(),
        };
        sorted.iter().take(hits.size).map(hit).collect()
    }
}

fn by_order(level: &Level, a: &Building<'_>, b: &Building<'_>) -> Ordering {
    let by = |(key, ascending): &(BucketKey, bool)| {
        let order = match key {
            BucketKey::Count => a.rows.len().cmp(&b.rows.len()),
            BucketKey::Key => {
                let keys = a.key.iter().zip(&b.key);
                let mut orders = keys.map(|(a, b)| a.cell().compare(&b.cell()));
                orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            }
            // A metric of nothing comes first, as null does.
            BucketKey::Metric(alias) => {
                let metric = |bucket: &Building<'_>| bucket.metrics.get(alias).cloned();
                cell_of_optional(&metric(a)).compare(&cell_of_optional(&metric(b)))
            }
        };
        if *ascending { order } else { order.reverse() }
    };
    level.order.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn named(fields: &[FieldSchema], key: &[Key]) -> Vec<NamedValue> {
    let one = |(field, key): (&FieldSchema, &Key)| NamedValue {
        field_id: field.id,
        field_name: field.name.clone(),
        value: value_of(key.cell()),
    };
    fields.iter().zip(key).map(one).collect()
}

fn shown(field: &FieldSchema, column: &ArrayRef, row: usize) -> NamedValue {
    let value = match (field.data_type, Cell::of(column, row)) {
        // Exact: the column held singles.
        #[expect(clippy::cast_possible_truncation, reason = "the column holds singles")]
        (milvus_types::DataType::Float, Cell::Float(value)) => Some(Value::Float(value as f32)),
        (milvus_types::DataType::JSON, Cell::Text(text)) => {
            Some(Value::Bytes(text.as_bytes().to_vec()))
        }
        (_, cell) => value_of(cell),
    };
    NamedValue { field_id: field.id, field_name: field.name.clone(), value }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array};
    use milvus_types::{CollectionSchema, DataType};

    use super::*;
    use crate::api::{AggregationSpec, MetricSpec, SortSpec, TopHitsSpec};
    use crate::search::aggregation::plan;

    #[test]
    fn buckets_metrics_orders_and_hits_agree_with_a_plain_model() {
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
        ];
        let schema = CollectionSchema { fields, ..CollectionSchema::default() };
        let metric =
            |op: &str, name: &str| MetricSpec { op: op.to_owned(), field_name: name.to_owned() };
        let by = |name: &str, direction: &str| SortSpec {
            name: name.to_owned(),
            direction: direction.to_owned(),
            null_first: false,
        };
        let sub = AggregationSpec {
            fields: vec!["year".to_owned()],
            size: 10,
            order: vec![by("_key", "asc")],
            top_hits: Some(TopHitsSpec { size: 2, sort: vec![by("price", "asc")] }),
            ..AggregationSpec::default()
        };
        let spec = AggregationSpec {
            fields: vec!["brand".to_owned()],
            size: 2,
            search_size: 3,
            metrics: [
                ("n".to_owned(), metric("count", "*")),
                ("avg".to_owned(), metric("avg", "price")),
                ("best".to_owned(), metric("max", "_score")),
            ]
            .into(),
            order: vec![by("avg", "desc")],
            sub_aggregation: Some(Box::new(sub)),
            ..AggregationSpec::default()
        };
        let plan = plan(&spec, &schema, 1).unwrap();
        let brands = ["a", "b", "c"];
        let price = |i: usize| ((i * 7) % 10) as f64;
        let rows: Vec<Row> = (0..30)
            .map(|i| Row {
                key: PrimaryKey::Int64(i as i64),
                score: 1.0 / (i + 1) as f32,
                group: vec![Key::Text(brands[i % 3].into()), Key::Int(2000 + (i % 2) as i64)],
                at: i,
            })
            .collect();
        let prices = Arc::new(Float64Array::from_iter_values((0..30).map(price))) as ArrayRef;
        let years =
            Arc::new(Int64Array::from_iter_values((0..30).map(|i| 2000 + i % 2))) as ArrayRef;
        let columns = HashMap::from([(FieldId(102), prices)]);
        let output = [(field(101, "year", DataType::Int64), years)];
        let buckets = compute(&plan, &rows, &columns, &output);
        let avg = |brand: usize| (0..30).filter(|i| i % 3 == brand).map(price).sum::<f64>() / 10.0;
        let mut model: Vec<(usize, f64)> = (0..3).map(|brand| (brand, avg(brand))).collect();
        model.sort_by(|a, b| b.1.total_cmp(&a.1));
        assert_eq!(buckets.len(), 2);
        for (bucket, (brand, avg)) in buckets.iter().zip(model) {
            assert_eq!(bucket.key[0].value, Some(Value::VarChar(brands[brand].to_owned())));
            assert_eq!(bucket.count, 10);
            assert_eq!(bucket.metrics["n"], Value::Int64(10));
            assert_eq!(bucket.metrics["avg"], Value::Double(avg));
            assert_eq!(bucket.metrics["best"], Value::Double((1.0 / (brand + 1) as f32).into()));
            let years: Vec<_> = bucket.sub_buckets.iter().map(|b| b.key[0].value.clone()).collect();
            assert_eq!(years, [Some(Value::Int64(2000)), Some(Value::Int64(2001))]);
            for (year, sub) in bucket.sub_buckets.iter().enumerate() {
                let mut rows: Vec<usize> =
                    (0..30).filter(|i| i % 3 == brand && i % 2 == year).collect();
                rows.sort_by(|a, b| price(*a).total_cmp(&price(*b)).then(a.cmp(b)));
                let keys: Vec<_> = sub.hits.iter().map(|hit| hit.key.to_string()).collect();
                assert_eq!(keys, [rows[0].to_string(), rows[1].to_string()]);
                assert_eq!(sub.hits[0].fields[0].value, Some(Value::Int64(2000 + year as i64)));
            }
        }
    }
}
