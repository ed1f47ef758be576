//! The hits of a search aggregation as buckets.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_types::{FieldSchema, PkType, PrimaryKeys, Result, Timestamp};

use super::aggregation::{AggregationPlan, Row, compute};
use super::merge::Hit;
use super::plan::{ShardSearch, Target};
use crate::Proxy;
use crate::api::SearchApiReply;
use crate::output_fields::Output;

impl Proxy {
    /// Folds the hits of each query into buckets.
    pub(crate) async fn buckets(
        &self,
        target: &Target,
        search: &ShardSearch,
        plan: &AggregationPlan,
        output: &Output,
        hits: Vec<Vec<Hit>>,
    ) -> Result<SearchApiReply> {
        let mut fields: Vec<&FieldSchema> = plan.columns.iter().collect();
        for field in &output.fields {
            if !fields.iter().any(|known| known.id == field.id) {
                fields.push(field);
            }
        }
        let columns = self.columns_of_hits(target, &fields, &hits).await?;
        let by_id: HashMap<_, _> =
            fields.iter().map(|field| field.id).zip(columns.iter().cloned()).collect();
        let shown: Vec<_> = output
            .fields
            .iter()
            .filter_map(|field| Some((field.clone(), Arc::clone(by_id.get(&field.id)?))))
            .collect();
        let rounding = search.params.rounding;
        let mut at = 0;
        let queries: Vec<Vec<Row>> = hits
            .into_iter()
            .map(|hits| {
                let row = |hit: Hit| {
                    at += 1;
                    Row {
                        key: hit.key,
                        score: rounding.apply(hit.score),
                        group: hit.group.as_deref().unwrap_or_default().to_vec(),
                        at: at - 1,
                    }
                };
                hits.into_iter().map(row).collect()
            })
            .collect();
        let buckets = {
            let plan = plan.clone();
            let bytes = columns.iter().map(|column| column.get_array_memory_size()).sum();
            self.compute(milvus_base::Priority::Search, bytes, move || {
                let buckets = queries.iter().map(|rows| compute(&plan, rows, &by_id, &shown));
                Ok(buckets.collect::<Vec<_>>())
            })
            .await?
        };
        let schema = &target.collection.schema;
        let pk_type: PkType = schema.pk_type();
        Ok(SearchApiReply {
            collection_name: target.collection.name.clone(),
            nq: i64::try_from(buckets.len()).unwrap_or(i64::MAX),
            top_k: 0,
            topks: vec![0; buckets.len()],
            scores: Vec::new(),
            keys: PrimaryKeys::empty(pk_type),
            columns: Vec::new(),
            output_fields: output.names.clone(),
            primary_field_name: schema.primary_key().map_or_else(String::new, |f| f.name.clone()),
            times: target.times.clone(),
            group_values: Vec::new(),
            legacy_group: false,
            elements: None,
            iterator: None,
            buckets: Some(buckets),
            session_ts: Timestamp::ZERO,
        })
    }
}
