//! The log in an object store (`mq.type: woodpecker`): batches as objects made by conditional put,
//! which is the fence too. Over a local directory's store it is the same log on local files.
//!
//! ```text
//! {prefix}/by-dev-rootcoord-dml_0/manifest                         what `manifest.rs` draws
//! {prefix}/by-dev-rootcoord-dml_0/{log}/{first}.batch              a batch or a claim (`block.rs`)
//! {prefix}/by-dev-rootcoord-dml_0/{log}/{first}-{end}-{number}.merged   several of them as one
//! ```
//!
//! - **One name for each place.** A block's name is its first position, which follows from all blocks
//!   before it. Whoever may write next knows that name, and `put_if_absent` lets one of them have it.
//! - **Fencing.** An owner begins with a claim, an object in the place of the next batch. An older owner's
//!   next put finds it there, and fails. Claims are never deleted (88 bytes for each opening), so that
//!   this holds however late that put comes.
//! - **Lost replies.** A put whose outcome is not known is tried again under the same name with the same
//!   bytes, and read back: the id in the block tells whose it is. If it is there it is put once more in
//!   its own place, since only a put that has returned is durable. When it stays unknown for
//!   [`ObjectWalOptions::give_up_after`], its appends fail as in doubt, and a claim under the same name
//!   settles whether the batch is in the log. The batch is never written under another name.
//! - **One put at a time**, so the log has no holes: everything that arrives meanwhile is the next batch.
//! - **Merging.** Small objects behind the tail are copied into larger ones, the manifest is put anew, and
//!   only then are they deleted. A crash at any step leaves both or the one.
//! - **No list is believed.** The manifest says from where on every object exists; the tail is found by
//!   getting one after the other. A list is asked once, for objects that show that one was lost.
//!
//! Group commit: `channel.rs`, `write.rs`. Opening: `open.rs`. Merging: `merge.rs`. Reading: `read.rs`,
//! `ahead.rs`.

mod ahead;
mod block;
mod channel;
mod clean;
mod extents;
mod manifest;
mod manifest_keeper;
mod merge;
mod open;
mod read;
mod remote;
mod remove;
mod scan;
#[cfg(test)]
mod tests;
mod truncate;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use milvus_base::Clock;
use milvus_base::retry::Backoff;
use milvus_storage::ObjectStore;
use parking_lot::Mutex;

use crate::channel_name;
use crate::error::{OpenError, RemoveError};
use crate::log::{LogChannel, Wal};
use crate::planted::PlantedBug;
use ahead::Budget;
use channel::{ObjectChannel, Shared};
use remote::Remote;

/// How an [`ObjectWal`] behaves.
#[derive(Clone, Debug)]
pub struct ObjectWalOptions {
    /// A batch has no more bytes than this, unless one record has.
    pub max_batch_bytes: u64,
    /// Records that came while a batch was under way wait until so long after its begin, to share a
    /// batch with more; not if they fill one, and never if nothing was under way.
    pub flush_interval: Duration,
    /// The largest record accepted.
    pub max_record_bytes: u64,
    /// The most bytes that may wait to be written to one channel.
    pub max_queued_bytes: u64,
    /// Objects are merged when so many have come since the last time.
    pub merge_objects: usize,
    /// Merged objects have about this many bytes at most; so much memory does merging take.
    pub merge_bytes: u64,
    /// A request to the store that has not answered by then counts as failed, its outcome unknown. A put
    /// of a batch has a second more for each 4 MiB.
    pub attempt_timeout: Duration,
    /// How often and how fast a request that failed is repeated. A put of a batch is repeated at this
    /// pace until `give_up_after`.
    pub retry: Backoff,
    /// Appends whose batch has not been put by then fail as in doubt.
    pub give_up_after: Duration,
    /// What time it is.
    pub clock: Clock,
    /// What is wrong on purpose. Tests only.
    pub planted_bug: PlantedBug,
}

impl Default for ObjectWalOptions {
    fn default() -> Self {
        Self {
            max_batch_bytes: 4 << 20,
            flush_interval: Duration::from_millis(5),
            max_record_bytes: 256 << 20,
            max_queued_bytes: 512 << 20,
            merge_objects: 32,
            merge_bytes: 16 << 20,
            attempt_timeout: Duration::from_secs(5),
            retry: Backoff {
                first: Duration::from_millis(20),
                max: Duration::from_secs(1),
                ..Backoff::default()
            },
            give_up_after: Duration::from_secs(60),
            clock: Clock::system(),
            planted_bug: PlantedBug::None,
        }
    }
}

impl ObjectWalOptions {
    /// For a store that is a local directory, where a put costs no money and no wait is worth it.
    pub fn local() -> Self {
        Self { flush_interval: Duration::ZERO, ..Self::default() }
    }
}

/// The log in an object store, under one prefix.
pub struct ObjectWal {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    options: ObjectWalOptions,
    ahead: Budget,
    channels: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Slot>>>>,
}

/// What is known of a channel's owners in this process.
#[derive(Default)]
struct Slot {
    owner: Weak<Shared>,
}

impl ObjectWal {
    /// The log in `store` under `prefix`, one or more names separated by `/`. Nothing is read until a
    /// channel is opened.
    pub fn open(
        store: Arc<dyn ObjectStore>,
        prefix: impl Into<String>,
        options: ObjectWalOptions,
    ) -> Self {
        Self {
            store,
            prefix: prefix.into(),
            options,
            ahead: Budget::default(),
            channels: Mutex::default(),
        }
    }

    fn slot(&self, channel: &str) -> Arc<tokio::sync::Mutex<Slot>> {
        Arc::clone(self.channels.lock().entry(channel.to_owned()).or_default())
    }

    fn remote(&self, channel: &str, term: u64) -> Remote {
        let dir = format!("{}/{}", self.prefix, channel_name::directory(channel));
        Remote {
            store: Arc::clone(&self.store),
            dir,
            channel: channel.to_owned(),
            term,
            options: self.options.clone(),
            ahead: self.ahead.clone(),
        }
    }
}

#[async_trait]
impl Wal for ObjectWal {
    async fn open(&self, channel: &str, term: u64) -> Result<Arc<dyn LogChannel>, OpenError> {
        if !channel_name::is_valid(channel) {
            return Err(OpenError::InvalidName { name: channel.to_owned() });
        }
        let slot = self.slot(channel);
        let mut slot = slot.lock().await;
        if let Some(owner) = slot.owner.upgrade() {
            let current = owner.remote.term;
            if term < current {
                return Err(OpenError::StaleTerm {
                    channel: channel.to_owned(),
                    got: term,
                    current,
                });
            }
            if term == current && !owner.is_refusing() {
                return Err(OpenError::AlreadyOpen { channel: channel.to_owned(), term });
            }
            owner.fence(term);
        }
        let shared = open::open(self.remote(channel, term)).await?;
        *slot = Slot { owner: Arc::downgrade(&shared) };
        Ok(Arc::new(ObjectChannel { shared }))
    }

    async fn channels(&self) -> Result<Vec<String>, OpenError> {
        let prefix = format!("{}/", self.prefix);
        let remote = self.remote("", 0);
        let listed = remote.retrying("list", &prefix, || self.store.list(&prefix)).await;
        let listed =
            listed.map_err(|e| OpenError::List { prefix: prefix.clone(), source: Arc::new(e) })?;
        let mut channels: Vec<String> = listed
            .iter()
            .filter_map(|meta| meta.path.strip_prefix(&prefix)?.strip_suffix("/manifest"))
            .filter_map(channel_name::channel)
            .collect();
        channels.sort_unstable();
        Ok(channels)
    }

    async fn remove(&self, channel: &str) -> Result<(), RemoveError> {
        let slot = self.slot(channel);
        let slot = slot.lock().await;
        if let Some(owner) = slot.owner.upgrade() {
            owner.refuse(owner.closed());
            owner.quiesce().await;
        }
        remove::remove(&self.remote(channel, u64::MAX)).await
    }
}
