//! Asking every shard at once.

use std::sync::Arc;

use futures::future::join_all;
use milvus_base::Priority;
use milvus_roles::{SearchReply, SearchRequest, ShardHit};
use milvus_segment::{Cursor, GroupBy, GroupField, GroupSet, GroupValue};
use milvus_types::{Collection, DataType, Result, Timestamp, VChannel};

use super::group_by::Grouping;
use super::merge::{Hit, Page, merge};
use super::plan::ShardSearch;
use crate::Proxy;
use crate::cell::Key;

/// When a read reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// See every write up to here.
    pub(crate) guarantee: Timestamp,
    /// At exactly this snapshot; `None` for the freshest that the guarantee allows.
    pub(crate) mvcc: Option<Timestamp>,
}

impl Proxy {
    /// The page of hits of each query, best first, and the snapshot they were found in.
    ///
    /// A segment does not look for more of a group that is not among its own best, so strict groups
    /// are filled by a second search, of the groups that the first one found.
    pub(crate) async fn search_shards(
        &self,
        collection: &Collection,
        search: &ShardSearch,
        moment: Moment,
        page: Page,
    ) -> Result<(Vec<Vec<Hit>>, Timestamp)> {
        let (hits, mvcc) = self.ask_shards(collection, search, moment, page, None).await?;
        let grouping = search.params.grouping.as_ref();
        if grouping.is_none_or(|by| !by.strict || by.size < 2) || hits.iter().all(Vec::is_empty) {
            return Ok((hits, mvcc));
        }
        let only = hits.iter().map(|hits| hits.iter().filter_map(group_of).collect()).collect();
        let page = Page { offset: 0, limit: usize::MAX, ..page };
        let moment = Moment { guarantee: mvcc, mvcc: Some(mvcc) };
        self.ask_shards(collection, search, moment, page, Some(only)).await
    }

    async fn ask_shards(
        &self,
        collection: &Collection,
        search: &ShardSearch,
        moment: Moment,
        page: Page,
        only: Option<Arc<[GroupSet]>>,
    ) -> Result<(Vec<Vec<Hit>>, Timestamp)> {
        let shards = collection.vchannels.iter().map(|vchannel| {
            let request = request(collection, vchannel.clone(), search, moment, only.clone());
            self.streaming().search(request)
        });
        let replies: Vec<SearchReply> =
            join_all(shards).await.into_iter().collect::<Result<_>>()?;
        let mvcc = snapshot(replies.iter().map(|reply| reply.mvcc), moment.guarantee);
        let count: usize = replies.iter().flat_map(|reply| &reply.hits).map(Vec::len).sum();
        let (nq, metric) = (search.queries.nq(), search.metric);
        let merged = self
            .compute(Priority::Search, count.saturating_mul(size_of::<Hit>()), move || {
                let shards = replies.into_iter().enumerate().map(|(shard, reply)| {
                    let queries = reply.hits.into_iter();
                    queries
                        .map(|hits| hits.into_iter().map(|hit| known(shard, hit)).collect())
                        .collect()
                });
                Ok(merge(shards.collect(), nq, metric, page))
            })
            .await?;
        Ok((merged, mvcc))
    }
}

/// The snapshot of a read of several shards: the freshest of theirs, as each has seen everything up to
/// `guarantee`. One that could not, as a write to it is undecided, names an older one; so that it can
/// be read again, it is that of all then.
pub(crate) fn snapshot(
    shards: impl Iterator<Item = Timestamp> + Clone,
    guarantee: Timestamp,
) -> Timestamp {
    let oldest = shards.clone().min().filter(|oldest| *oldest < guarantee);
    oldest.or(shards.max()).unwrap_or(guarantee)
}

/// What one shard is asked.
fn request(
    collection: &Collection,
    vchannel: VChannel,
    search: &ShardSearch,
    moment: Moment,
    only: Option<Arc<[GroupSet]>>,
) -> SearchRequest {
    SearchRequest {
        collection_id: collection.id,
        vchannel,
        partitions: search.partitions.clone(),
        field: search.field.name.clone(),
        metric: search.metric,
        queries: Arc::clone(&search.queries),
        k: search.params.k(),
        params: search.params.search.clone(),
        filter: search.filter.clone(),
        range: search.range,
        group_by: search.params.grouping.as_ref().map(|by| group_by(by, only)),
        iterator: search.params.iterator,
        after: search.after.as_ref().map(|end| Cursor {
            score: end.score,
            key: end.key.clone(),
            element: end.element.filter(|_| search.elements),
        }),
        boosts: search.boosts.clone().map(Arc::new),
        ignore_growing: search.params.ignore_growing,
        guarantee: moment.guarantee,
        mvcc: moment.mvcc,
    }
}

fn group_by(grouping: &Grouping, only: Option<Arc<[GroupSet]>>) -> GroupBy {
    let field = |by: &super::group_by::GroupField| GroupField {
        column: by.field.name.clone(),
        path: by.path.clone(),
        json_type: by.json_type.filter(|_| by.field.data_type == DataType::JSON),
        strict_cast: by.strict_cast,
    };
    GroupBy {
        fields: grouping.fields.iter().map(field).collect(),
        size: grouping.size,
        strict: grouping.strict,
        only,
    }
}

fn known(shard: usize, hit: ShardHit) -> Hit {
    Hit {
        score: hit.score,
        key: hit.key,
        element: hit.element,
        shard,
        location: hit.location,
        group: hit.group.map(|values| values.iter().map(key).collect()),
    }
}

/// The group of `hit`, as segments know it.
fn group_of(hit: &Hit) -> Option<Arc<[GroupValue]>> {
    let value = |key: &Key| match key {
        Key::Null => Some(GroupValue::Null),
        Key::Bool(value) => Some(GroupValue::Bool(*value)),
        Key::Int(value) => Some(GroupValue::Int(*value)),
        Key::Text(value) => Some(GroupValue::VarChar((&**value).into())),
    };
    hit.group.as_deref()?.iter().map(value).collect()
}

fn key(value: &GroupValue) -> Key {
    match value {
        GroupValue::Null => Key::Null,
        GroupValue::Bool(value) => Key::Bool(*value),
        GroupValue::Int(value) => Key::Int(*value),
        GroupValue::VarChar(value) => Key::Text((&**value).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_freshest_snapshot_counts_unless_a_shard_could_not_reach_the_guarantee() {
        let of = |shards: &[u64]| snapshot(shards.iter().map(|at| Timestamp(*at)), Timestamp(10));
        assert_eq!(of(&[10, 13, 11]), Timestamp(13));
        assert_eq!(of(&[10, 7, 13]), Timestamp(7), "can be read again of all");
        assert_eq!(of(&[]), Timestamp(10));
    }
}
