//! `Delete`: by key, or by any filter whose keys are found first.
//!
//! `pk == x` and `pk in [..]` go straight to the shards; the count is that of the keys given,
//! whether or not they exist. Every other filter is a query at one fresh timestamp.

use futures::future::join_all;
use milvus_expr::Plan;
use milvus_roles::QueryRequest;
use milvus_types::{Collection, Failure, PartitionId, PrimaryKeys, Result, Timestamp};

use crate::Proxy;
use crate::api::{Context, DeleteRequest, MutationReply};
use crate::insert::split;
use crate::plan::plan;
use crate::proxy::partition_id;
use crate::validate::names;

impl Proxy {
    /// Deletes rows; they are gone for every later read when this returns.
    pub async fn delete(&self, cx: &Context, request: DeleteRequest) -> Result<MutationReply> {
        let collection = self.named_collection(cx, &request.collection_name).await?;
        let plan = plan(&request.expr, &request.templates, &collection.schema, "delete")?;
        if plan.always_true() {
            return Err(Failure::parameter_invalid(format!(
                "delete plan can't be empty or always true : {}",
                request.expr
            )));
        }
        let partition = match request.partition_name.as_str() {
            "" => None,
            name => {
                names::partition(name, true, self.options().limits.name_length)?;
                Some(partition_id(&collection, name)?)
            }
        };
        let (keys, at) = match plan.primary_keys() {
            Some(keys) => (keys, Timestamp::ZERO),
            None => self.matching_keys(&collection, plan, partition).await?,
        };
        let delete_count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        let writes = split::deletes(&collection, partition.map(|id| vec![id]), &keys)?;
        let timestamp = self.write_all(writes).await?.max(at);
        Ok(MutationReply { keys, insert_count: 0, delete_count, upsert_count: 0, timestamp })
    }

    /// The keys of the rows that pass `plan` now, and when that was.
    async fn matching_keys(
        &self,
        collection: &Collection,
        plan: Plan,
        partition: Option<PartitionId>,
    ) -> Result<(PrimaryKeys, Timestamp)> {
        self.loaded(collection, partition.as_slice()).await?;
        let now = self.allocate_timestamp().await?;
        let queries = collection.vchannels.iter().map(|vchannel| {
            self.streaming().query(QueryRequest {
                collection_id: collection.id,
                vchannel: vchannel.clone(),
                partitions: partition.map(|id| vec![id].into()),
                filter: plan.clone(),
                keys: None,
                limit: None,
                count: false,
                ignore_growing: false,
                guarantee: now,
                mvcc: Some(now),
            })
        });
        let mut keys = Vec::new();
        for reply in join_all(queries).await {
            keys.extend(reply?.rows.into_iter().map(|(key, _)| key));
        }
        Ok((PrimaryKeys::from_keys(collection.schema.pk_type(), &keys), now))
    }
}
