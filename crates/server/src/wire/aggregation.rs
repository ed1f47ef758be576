//! Search aggregations: what is asked, and the buckets of the answer.

use milvus_proto::{common, schema as pb};
use milvus_proxy::api::{
    AggregationSpec, Bucket, BucketHit, MetricSpec, NamedValue, SortSpec, TopHitsSpec,
};
use milvus_types::{PrimaryKey, Value};
use pb::agg_hit::Pk;
use pb::agg_hit_field::Value as HitValue;
use pb::bucket_key_entry::Value as KeyValue;
use pb::metric_value::Value as Metric;

/// The levels that a request asks for.
pub fn from_wire(spec: common::SearchAggregationSpec) -> AggregationSpec {
    let metric =
        |metric: common::MetricAggSpec| MetricSpec { op: metric.op, field_name: metric.field_name };
    let order = |order: common::OrderSpec| SortSpec {
        name: order.key,
        direction: order.direction,
        null_first: order.null_first,
    };
    let sort = |sort: common::SortSpec| SortSpec {
        name: sort.field_name,
        direction: sort.direction,
        null_first: sort.null_first,
    };
    AggregationSpec {
        fields: spec.fields,
        size: spec.size,
        search_size: spec.search_size,
        metrics: spec.metrics.into_iter().map(|(alias, of)| (alias, metric(of))).collect(),
        order: spec.order.into_iter().map(order).collect(),
        top_hits: spec.top_hits.map(|hits| TopHitsSpec {
            size: hits.size,
            sort: hits.sort.into_iter().map(sort).collect(),
        }),
        // As deep as the decoder lets messages nest.
        sub_aggregation: spec.sub_aggregation.map(|sub| Box::new(from_wire(*sub))),
    }
}

/// The buckets of all queries, one query after the other.
pub fn to_wire(buckets: Vec<Vec<Bucket>>) -> Vec<pb::AggBucket> {
    buckets.into_iter().flatten().map(bucket).collect()
}

fn bucket(bucket: Bucket) -> pb::AggBucket {
    let metric = |value| pb::MetricValue { value: metric(value) };
    pb::AggBucket {
        key: bucket.key.into_iter().map(key).collect(),
        count: bucket.count,
        metrics: bucket.metrics.into_iter().map(|(alias, of)| (alias, metric(of))).collect(),
        hits: bucket.hits.into_iter().map(hit).collect(),
        sub_groups: bucket.sub_buckets.into_iter().map(self::bucket).collect(),
    }
}

fn key(key: NamedValue) -> pb::BucketKeyEntry {
    let value = key.value.and_then(|value| match value {
        Value::Bool(value) => Some(KeyValue::BoolVal(value)),
        Value::Int32(value) => Some(KeyValue::IntVal(value.into())),
        Value::Int64(value) => Some(KeyValue::IntVal(value)),
        Value::VarChar(value) => Some(KeyValue::StringVal(value)),
        Value::Float(_) | Value::Double(_) | Value::Bytes(_) | Value::Array(_) => None,
    });
    pb::BucketKeyEntry { field_id: key.field_id.0, field_name: key.field_name, value }
}

fn metric(value: Value) -> Option<Metric> {
    Some(match value {
        Value::Bool(value) => Metric::BoolVal(value),
        Value::Int32(value) => Metric::IntVal(value.into()),
        Value::Int64(value) => Metric::IntVal(value),
        Value::Float(value) => Metric::DoubleVal(value.into()),
        Value::Double(value) => Metric::DoubleVal(value),
        Value::VarChar(value) => Metric::StringVal(value),
        Value::Bytes(_) | Value::Array(_) => return None,
    })
}

fn hit(hit: BucketHit) -> pb::AggHit {
    let pk = match hit.key {
        PrimaryKey::Int64(key) => Pk::IntPk(key),
        PrimaryKey::VarChar(key) => Pk::StrPk(key.into()),
    };
    let fields = hit.fields.into_iter().map(field).collect();
    pb::AggHit { pk: Some(pk), score: hit.score, fields }
}

fn field(field: NamedValue) -> pb::AggHitField {
    let value = field.value.and_then(|value| match value {
        Value::Bool(value) => Some(HitValue::BoolVal(value)),
        Value::Int32(value) => Some(HitValue::IntVal(value.into())),
        Value::Int64(value) => Some(HitValue::IntVal(value)),
        Value::Float(value) => Some(HitValue::FloatVal(value)),
        Value::Double(value) => Some(HitValue::DoubleVal(value)),
        Value::VarChar(value) => Some(HitValue::StringVal(value)),
        Value::Bytes(value) => Some(HitValue::BytesVal(value.into())),
        Value::Array(_) => None,
    });
    pb::AggHitField { field_id: field.field_id.0, field_name: field.field_name, value }
}

#[cfg(test)]
mod tests {
    use milvus_types::FieldId;

    use super::*;

    #[test]
    fn levels_and_buckets_cross_the_wire() {
        let sub = common::SearchAggregationSpec { fields: vec!["b".into()], ..Default::default() };
        let spec = common::SearchAggregationSpec {
            fields: vec!["a".into()],
            size: 3,
            sub_aggregation: Some(Box::new(sub)),
            ..Default::default()
        };
        let read = from_wire(spec);
        assert_eq!(read.sub_aggregation.map(|sub| sub.fields), Some(vec!["b".to_owned()]));
        let named =
            |value| NamedValue { field_id: FieldId(100), field_name: "a".to_owned(), value };
        let one = Bucket {
            key: vec![named(Some(Value::Int64(7))), named(None)],
            count: 2,
            metrics: [("m".to_owned(), Value::Double(0.5))].into(),
            hits: vec![BucketHit {
                key: PrimaryKey::Int64(1),
                score: 0.25,
                fields: vec![named(Some(Value::Float(1.5)))],
            }],
            sub_buckets: vec![],
        };
        let wire = to_wire(vec![vec![one]]);
        assert_eq!(wire[0].key[0].value, Some(KeyValue::IntVal(7)));
        assert_eq!(wire[0].key[1].value, None);
        assert_eq!(wire[0].metrics["m"].value, Some(Metric::DoubleVal(0.5)));
        assert_eq!(wire[0].hits[0].fields[0].value, Some(HitValue::FloatVal(1.5)));
    }
}
