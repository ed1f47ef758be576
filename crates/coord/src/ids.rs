//! Ids: unique, never reused, taken from the catalogue in ranges.

use std::ops::Range;
use std::sync::Arc;

use milvus_meta::Catalogue;
use milvus_types::{Failure, Result};
use parking_lot::Mutex;

use crate::serial::Serial;

/// Ids taken from the catalogue at a time, at least.
const RANGE: u64 = 1 << 20;

pub(crate) struct Ids {
    shared: Arc<Shared>,
    refilling: Serial,
}

struct Shared {
    catalogue: Catalogue,
    left: Mutex<Range<i64>>,
}

impl Ids {
    pub(crate) fn new(catalogue: Catalogue) -> Self {
        let shared = Arc::new(Shared { catalogue, left: Mutex::new(0..0) });
        Self { shared, refilling: Serial::new("id-refill") }
    }

    pub(crate) async fn allocate(&self, count: u64) -> Result<i64> {
        let count = count.max(1);
        if let Some(first) = self.shared.take(count) {
            return Ok(first);
        }
        let shared = self.shared.clone();
        self.refilling.run(async move { shared.refill(count).await }).await
    }
}

impl Shared {
    fn take(&self, count: u64) -> Option<i64> {
        let mut left = self.left.lock();
        let first = left.start;
        let end = first.checked_add(i64::try_from(count).ok()?)?;
        if end > left.end {
            return None;
        }
        left.start = end;
        Some(first)
    }

    async fn refill(&self, count: u64) -> Result<i64> {
        if let Some(first) = self.take(count) {
            return Ok(first);
        }
        let range = self.catalogue.reserve_ids(count.max(RANGE)).await;
        *self.left.lock() = range.map_err(|error| Failure::from(&error))?;
        self.take(count).ok_or_else(|| Failure::internal("ids are used up"))
    }
}
