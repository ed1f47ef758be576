//! Compaction, as far as clients can see it: nothing is compacted yet, so there is nothing to do
//! and nothing under way.

use milvus_types::{CollectionId, Result};

use crate::Proxy;
use crate::api::{CompactionReply, Context};

/// What Milvus answers where there is nothing to compact.
const NOTHING: CompactionReply = CompactionReply { id: -1, plan_count: 0 };

impl Proxy {
    /// Compacts a collection, by name or, where `name` is empty, by `id`.
    pub async fn compact(
        &self,
        cx: &Context,
        name: &str,
        id: CollectionId,
    ) -> Result<CompactionReply> {
        if name.is_empty() {
            self.root().describe_collection_by_id(id).await?;
        } else {
            self.collection(cx, name).await?;
        }
        Ok(NOTHING)
    }
}
