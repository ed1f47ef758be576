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
use crate::insert::{partition_key, split};
use crate::plan::plan_in_zone;
use crate::proxy::partition_id;
use crate::validate::names;

impl Proxy {
    /// Deletes rows; they are gone for every later read when this returns.
    pub async fn delete(&self, cx: &Context, request: DeleteRequest) -> Result<MutationReply> {
        let name = &request.collection_name;
        names::collection(name, self.options().limits.name_length)
            .map_err(|failure| failure.context("Invalid collection name"))?;
        let collection = self.collection(cx, name).await;
        let collection =
            collection.map_err(|failure| failure.context("Failed to get collection id"))?;
        let zone = collection.property("timezone").unwrap_or("UTC");
        let (expr, templates) = (&request.expr, &request.templates);
        let plan = plan_in_zone(expr, templates, &collection.schema, zone, "delete")?;
        if plan.always_true() {
            return Err(Failure::parameter_invalid(format!(
                "delete plan can't be empty or always true : {}",
                request.expr
            )));
        }
        let partitions = self.partitions_of_delete(&collection, &request.partition_name, &plan)?;
        let (keys, at) = match plan.primary_keys() {
            Some(keys) => (keys, Timestamp::ZERO),
            None => self.matching_keys(&collection, plan, partitions.as_deref()).await?,
        };
        let delete_count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        let writes = split::deletes(&collection, partitions, &keys)?;
        let timestamp = self.write_all(&collection, writes).await?.max(at);
        Ok(MutationReply { keys, insert_count: 0, delete_count, upsert_count: 0, timestamp })
    }

    /// The partitions where rows to delete can lie, `None` for all.
    fn partitions_of_delete(
        &self,
        collection: &Collection,
        name: &str,
        plan: &Plan,
    ) -> Result<Option<Vec<PartitionId>>> {
        if let Some(field) = collection.schema.partition_key() {
            partition_key::refuse_name(name)?;
            let keys = plan.key_values(field.id);
            return keys.map(|keys| partition_key::of_values(collection, &keys)).transpose();
        }
        if name.is_empty() {
            return Ok(None);
        }
        names::partition(name, true, self.options().limits.name_length)
            .map_err(|failure| failure.context("Invalid partition name"))?;
        let id = partition_id(collection, name)
            .map_err(|failure| failure.context("Failed to get partition id"))?;
        Ok(Some(vec![id]))
    }

    /// The keys of the rows that pass `plan` now, and when that was.
    async fn matching_keys(
        &self,
        collection: &Collection,
        plan: Plan,
        partitions: Option<&[PartitionId]>,
    ) -> Result<(PrimaryKeys, Timestamp)> {
        self.loaded(collection, partitions.unwrap_or_default()).await?;
        let now = self.allocate_timestamp().await?;
        let queries = collection.vchannels.iter().map(|vchannel| {
            self.streaming().query(QueryRequest {
                collection_id: collection.id,
                vchannel: vchannel.clone(),
                partitions: partitions.map(Into::into),
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
