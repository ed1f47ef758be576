//! Hits ordered by fields rather than by score: the best top-k, in another order.

use std::ops::Range;

use milvus_types::{FieldSchema, Result};

use super::merge::Hit;
use super::params::Params;
use super::plan::Target;
use crate::Proxy;
use crate::order_by::Sorter;

impl Proxy {
    /// Orders the hits of each query (of groups, the groups by their first hit) and cuts the page
    /// out of them.
    pub(crate) async fn ordered(
        &self,
        target: &Target,
        params: &Params,
        hits: Vec<Vec<Hit>>,
    ) -> Result<Vec<Vec<Hit>>> {
        let mut fields: Vec<&FieldSchema> = Vec::new();
        for by in &params.order_by {
            if !fields.iter().any(|field| field.id == by.field.id) {
                fields.push(&by.field);
            }
        }
        let columns = self.columns_of_hits(target, &fields, &hits).await?;
        let of = |field: &FieldSchema| fields.iter().position(|known| known.id == field.id);
        let columns: Vec<_> = params
            .order_by
            .iter()
            .filter_map(|by| of(&by.field).and_then(|at| columns.get(at)).cloned())
            .collect();
        let (order, (offset, limit)) = (params.order_by.clone(), (params.offset, params.top_k));
        let bytes = columns.iter().map(|column| column.get_array_memory_size()).sum();
        let grouped = params.grouping.is_some();
        self.compute(milvus_base::Priority::Search, bytes, move || {
            let sorter = Sorter::new(&order, &columns);
            let mut first = 0;
            let query = |hits: Vec<Hit>| {
                let mut units = units(&hits, grouped);
                units.sort_by(|a, b| sorter.compare(first + a.start, first + b.start));
                first += hits.len();
                let page = units.into_iter().skip(offset).take(limit).flatten();
                page.filter_map(|at| hits.get(at).cloned()).collect()
            };
            Ok(hits.into_iter().map(query).collect())
        })
        .await
    }
}

/// What moves as one: each hit, or each group, whose hits lie behind each other.
fn units(hits: &[Hit], grouped: bool) -> Vec<Range<usize>> {
    if !grouped {
        return (0..hits.len()).map(|at| at..at + 1).collect();
    }
    let mut start = 0;
    hits.chunk_by(|a, b| a.group == b.group)
        .map(|group| {
            let unit = start..start + group.len();
            start = unit.end;
            unit
        })
        .collect()
}
