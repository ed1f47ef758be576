//! Rows ordered by fields: their order columns are read for all rows that pass, a part at a time.

use arrow::array::ArrayRef;
use arrow::compute::concat;
use milvus_types::{Collection, Failure, FieldSchema, PrimaryKey, Result};

use crate::Proxy;
use crate::fetch::Place;
use crate::order_by::{OrderBy, Sorter};

/// Rows whose columns are fetched at a time.
const PART: usize = 65_536;

impl Proxy {
    /// The page of `rows` ordered by `order_by`, ties by key.
    pub(crate) async fn ordered_rows(
        &self,
        collection: &Collection,
        order_by: &[OrderBy],
        rows: Vec<(PrimaryKey, Place)>,
        (offset, limit): (usize, usize),
    ) -> Result<Vec<(PrimaryKey, Place)>> {
        let mut fields: Vec<&FieldSchema> = Vec::new();
        for by in order_by {
            if !fields.iter().any(|field| field.id == by.field.id) {
                fields.push(&by.field);
            }
        }
        let places: Vec<Place> = rows.iter().map(|(_, place)| *place).collect();
        let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); fields.len()];
        for part in places.chunks(PART) {
            let columns = self.fetch(collection, &fields, part).await?;
            parts.iter_mut().zip(columns).for_each(|(parts, column)| parts.push(column));
        }
        if rows.is_empty() {
            return Ok(rows);
        }
        let ids: Vec<_> = fields.iter().map(|field| field.id).collect();
        let order_by = order_by.to_vec();
        let bytes = parts.iter().flatten().map(|column| column.get_array_memory_size()).sum();
        self.compute(milvus_base::Priority::Search, bytes, move || {
            let whole = |parts: &Vec<ArrayRef>| {
                let parts: Vec<_> = parts.iter().map(|part| &**part).collect();
                concat(&parts).map_err(|error| Failure::internal(format!("order columns: {error}")))
            };
            let columns: Vec<ArrayRef> = parts.iter().map(whole).collect::<Result<_>>()?;
            let of = |by: &OrderBy| {
                let at = ids.iter().position(|id| *id == by.field.id);
                at.and_then(|at| columns.get(at)).cloned()
            };
            let columns: Vec<ArrayRef> = order_by.iter().filter_map(of).collect();
            let sorter = Sorter::new(&order_by, &columns);
            let mut order: Vec<usize> = (0..rows.len()).collect();
            let wanted = offset.saturating_add(limit);
            if wanted < order.len() {
                // Rows come in order of their keys, so their numbers break ties by key.
                let by = |a: &usize, b: &usize| sorter.compare(*a, *b).then(a.cmp(b));
                order.select_nth_unstable_by(wanted, by);
                order.truncate(wanted);
            }
            order.sort_by(|a, b| sorter.compare(*a, *b).then(a.cmp(b)));
            let page = order.into_iter().skip(offset).take(limit);
            Ok(page.filter_map(|at| rows.get(at).cloned()).collect())
        })
        .await
    }
}
