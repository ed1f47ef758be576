//! Flush: seals growing segments and has them written; data is visible and durable without it.

use milvus_types::{ErrorCode, Result, Timestamp};

use crate::Proxy;
use crate::api::{Context, FlushStateRequest, FlushedCollection};

impl Proxy {
    /// Flushes collections: what is sealed will be written in the background.
    ///
    /// One collection may be flushed once in ten seconds by default (`rate limit exceeded`, 8).
    pub async fn flush(&self, cx: &Context, names: &[String]) -> Result<Vec<FlushedCollection>> {
        let mut collections = Vec::with_capacity(names.len());
        for name in names {
            let collection = self.collection(cx, name).await?;
            self.flushes().take(collection.id)?;
            collections.push(collection);
        }
        let mut flushed = Vec::with_capacity(names.len());
        for (name, collection) in names.iter().zip(collections) {
            let ticket = self.data().flush(collection.id).await?;
            flushed.push(FlushedCollection {
                name: name.clone(),
                id: collection.id,
                seal_time_ms: ticket.flush_ts.physical_ms(),
                ticket,
            });
        }
        Ok(flushed)
    }

    /// Flushes every collection of every database; the time up to which all will be written.
    ///
    /// Not limited in rate, as in Milvus.
    pub async fn flush_all(&self) -> Result<Timestamp> {
        let mut flush_ts = self.allocate_timestamp().await?;
        for database in self.root().list_databases().await? {
            for collection in self.root().list_collections(&database.name).await? {
                match self.data().flush(collection.id).await {
                    Ok(ticket) => flush_ts = flush_ts.max(ticket.flush_ts),
                    // Dropped meanwhile: there is nothing left to flush.
                    Err(failure) if failure.code == ErrorCode::CollectionNotFound => {}
                    Err(failure) => return Err(failure),
                }
            }
        }
        Ok(flush_ts)
    }

    /// Whether everything up to `flush_ts` is written, in every collection.
    pub async fn flush_all_state(&self, flush_ts: Timestamp) -> Result<bool> {
        // What is written until then is not there yet.
        if flush_ts > self.allocate_timestamp().await? {
            return Ok(false);
        }
        for database in self.root().list_databases().await? {
            for collection in self.root().list_collections(&database.name).await? {
                if !self.data().is_flushed(collection.id, &[], flush_ts).await? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether what a flush sealed is written. What belongs to a dropped collection is.
    pub async fn flush_state(&self, cx: &Context, request: FlushStateRequest) -> Result<bool> {
        let flush_ts = Timestamp(request.flush_ts);
        if !request.collection_name.is_empty() {
            let collection = match self.collection(cx, &request.collection_name).await {
                Err(failure) if failure.code == ErrorCode::CollectionNotFound => return Ok(true),
                found => found?,
            };
            return self.data().is_flushed(collection.id, &request.segments, flush_ts).await;
        }
        // Old clients name segments only.
        for collection in self.root().list_collections(&cx.db_name).await? {
            if !self.data().is_flushed(collection.id, &request.segments, flush_ts).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
