//! Answering: columns of the hits that are returned, and the reply around them.

use arrow::array::ArrayRef;
use milvus_types::{FieldSchema, PrimaryKeys, Result, Timestamp};

use super::group_by::{GroupField, Grouping};
use super::merge::Hit;
use super::params::Rounding;
use super::plan::Target;
use crate::Proxy;
use crate::api::{OutputColumn, SearchApiReply};
use crate::cell::Key;
use crate::fetch::Place;
use crate::metric::value_of;
use crate::output_fields::Output;
use crate::typed_column::typed_column;

/// What a reply is made of.
pub(crate) struct Found<'a> {
    /// Hits of each query, in the order they are returned in.
    pub(crate) hits: Vec<Vec<Hit>>,
    pub(crate) output: &'a Output,
    pub(crate) rounding: Rounding,
    pub(crate) grouping: Option<&'a Grouping>,
    /// Whether hits are elements.
    pub(crate) elements: bool,
    /// 0 unless the first page of an iterator asks.
    pub(crate) session_ts: Timestamp,
}

impl Proxy {
    /// Fetches what is returned of the hits.
    pub(crate) async fn answer(&self, target: &Target, found: Found<'_>) -> Result<SearchApiReply> {
        let collection = &target.collection;
        let schema = &collection.schema;
        let topks: Vec<i64> =
            found.hits.iter().map(|hits| i64::try_from(hits.len()).unwrap_or(i64::MAX)).collect();
        let hits: Vec<Hit> = found.hits.into_iter().flatten().collect();
        let keys = PrimaryKeys::from_keys(schema.pk_type(), hits.iter().map(|hit| &hit.key));
        let places: Vec<Place> = hits.iter().map(Hit::place).collect();
        let columns = self.output_columns(collection, found.output, &keys, &places).await?;
        let elements = found
            .elements
            .then(|| hits.iter().map(|hit| hit.element.map_or(0, i64::from)).collect::<Vec<_>>());
        Ok(SearchApiReply {
            collection_name: collection.name.clone(),
            nq: i64::try_from(topks.len()).unwrap_or(i64::MAX),
            top_k: topks.iter().copied().max().unwrap_or(0),
            topks,
            scores: hits.iter().map(|hit| found.rounding.apply(hit.score)).collect(),
            keys,
            columns,
            output_fields: found.output.names.clone(),
            primary_field_name: schema.primary_key().map_or_else(String::new, |f| f.name.clone()),
            times: target.times.clone(),
            group_values: found.grouping.map_or_else(Vec::new, |by| group_values(by, &hits)),
            legacy_group: found.grouping.is_some_and(|grouping| grouping.legacy),
            elements,
            iterator: None,
            buckets: None,
            session_ts: found.session_ts,
        })
    }

    /// The column of `field` for all hits, one query after the other.
    pub(crate) async fn column_of_hits(
        &self,
        target: &Target,
        field: &FieldSchema,
        hits: &[Vec<Hit>],
    ) -> Result<ArrayRef> {
        let columns = self.columns_of_hits(target, &[field], hits).await?;
        Ok(columns.into_iter().next().unwrap_or_else(|| typed_column(field.data_type, &[])))
    }

    /// The columns of `fields` for all hits, one query after the other.
    pub(crate) async fn columns_of_hits(
        &self,
        target: &Target,
        fields: &[&FieldSchema],
        hits: &[Vec<Hit>],
    ) -> Result<Vec<ArrayRef>> {
        let places: Vec<Place> = hits.iter().flatten().map(Hit::place).collect();
        self.fetch(&target.collection, fields, &places).await
    }
}

/// The values that hits were grouped by, one column for each field.
fn group_values(grouping: &Grouping, hits: &[Hit]) -> Vec<OutputColumn> {
    let column = |(at, by): (usize, &GroupField)| {
        let key = |hit: &Hit| hit.group.as_deref().and_then(|group| group.get(at)).cloned();
        let values: Vec<_> =
            hits.iter().map(|hit| value_of(key(hit).unwrap_or(Key::Null).cell())).collect();
        let data_type = by.data_type();
        let field = FieldSchema { data_type, is_dynamic: false, ..by.field.clone() };
        OutputColumn { values: typed_column(data_type, &values), field }
    };
    grouping.fields.iter().enumerate().map(column).collect()
}
