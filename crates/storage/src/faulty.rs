//! A store that fails as networks and disks do, for tests. The same seed fails the same way.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use milvus_base::Clock;
use parking_lot::Mutex;

use crate::error::StoreError;
use crate::payload::Payload;
use crate::store::{ETag, Object, ObjectMeta, ObjectStore};
use crate::writer::{ObjectWriter, Upload};

/// How often which fault happens, as probabilities from 0.0 to 1.0 per call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    /// The call fails and does nothing.
    pub error: f64,
    /// The call does everything, then fails.
    pub lost_reply: f64,
    /// An unconditional put leaves only the first part of the object, then fails, as on a store
    /// whose puts are not atomic. Readers must notice by length or checksum.
    pub torn_put: f64,
    /// A failure is "no space left" instead of a broken connection.
    pub disk_full: f64,
    /// Each call takes up to this long first.
    pub latency: Duration,
}

/// Another store, with faults put in front of it. Clones share them.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: FaultPlan,
    random: u64,
    faults: u64,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Well,
    Refused(io::ErrorKind),
    LostReply(io::ErrorKind),
    Torn { kept_per_mille: u64 },
}

impl FaultyStore {
    /// `inner`, failing after `plan` from `seed`; latency is waited for on `clock`.
    pub fn new(inner: Arc<dyn ObjectStore>, plan: FaultPlan, seed: u64, clock: Clock) -> Self {
        let state = Mutex::new(State { plan, random: seed, faults: 0 });
        Self { inner, shared: Arc::new(Shared { clock, state }) }
    }

    /// Fails after `plan` from now on.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.shared.state.lock().plan = plan;
    }

    /// How many calls have failed on purpose.
    pub fn faults(&self) -> u64 {
        self.shared.state.lock().faults
    }

    async fn fate(&self, torn: bool) -> Fate {
        let (fate, latency) = self.shared.state.lock().next(torn);
        if !latency.is_zero() {
            self.shared.clock.sleep(latency).await;
        }
        fate
    }

    async fn call<T>(
        &self,
        op: &'static str,
        path: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.fate(false).await {
            Fate::Refused(kind) => Err(StoreError::io(op, path, injected(kind))),
            Fate::LostReply(kind) => {
                work.await?;
                Err(StoreError::io(op, path, injected(kind)))
            }
            Fate::Well | Fate::Torn { .. } => work.await,
        }
    }
}

impl State {
    fn next(&mut self, torn: bool) -> (Fate, Duration) {
        let kind = if self.chance(self.plan.disk_full) {
            io::ErrorKind::StorageFull
        } else {
            io::ErrorKind::ConnectionReset
        };
        let fate = if self.chance(self.plan.error) {
            Fate::Refused(kind)
        } else if self.chance(self.plan.lost_reply) {
            Fate::LostReply(kind)
        } else if self.chance(self.plan.torn_put) && torn {
            Fate::Torn { kept_per_mille: self.random() % 1000 }
        } else {
            Fate::Well
        };
        if fate != Fate::Well {
            self.faults += 1;
        }
        let latency = self.plan.latency.mul_f64(self.fraction());
        (fate, latency)
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    fn fraction(&mut self) -> f64 {
        (self.random() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn injected(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "injected fault")
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        match self.fate(true).await {
            Fate::Well => self.inner.put(path, data).await,
            Fate::Refused(kind) => Err(StoreError::io("put", path, injected(kind))),
            Fate::LostReply(kind) => {
                self.inner.put(path, data).await?;
                Err(StoreError::io("put", path, injected(kind)))
            }
            Fate::Torn { kept_per_mille } => {
                let kept = data.len() * kept_per_mille / 1000;
                self.inner.put(path, data.truncated(kept)).await?;
                Err(StoreError::io("put", path, injected(io::ErrorKind::ConnectionReset)))
            }
        }
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.call("put", path, self.inner.put_if_absent(path, data)).await
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        self.call("put", path, self.inner.put_if_match(path, data, etag)).await
    }

    async fn get(&self, path: &str) -> Result<Object, StoreError> {
        self.call("get", path, self.inner.get(path)).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.call("get a range of", path, self.inner.get_range(path, range)).await
    }

    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        self.call("head", path, self.inner.head(path)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.call("list", prefix, self.inner.list(prefix)).await
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.call("delete", path, self.inner.delete(path)).await
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        self.call("map", path, self.inner.map(path)).await
    }

    async fn file(&self, path: &str) -> Result<Option<std::fs::File>, StoreError> {
        self.call("file", path, self.inner.file(path)).await
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        let upload = FaultyUpload {
            store: self.clone(),
            path: path.to_owned(),
            inner: self.inner.writer(path)?,
        };
        Ok(ObjectWriter::new(path, Box::new(upload)))
    }
}

/// A writer that may fail when it is finished. Its latency is not simulated: it blocks a thread.
struct FaultyUpload {
    store: FaultyStore,
    path: String,
    inner: ObjectWriter,
}

impl Write for FaultyUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for FaultyUpload {
    fn finish(self: Box<Self>) -> Result<ObjectMeta, StoreError> {
        let (fate, _) = self.store.shared.state.lock().next(false);
        match fate {
            Fate::Refused(kind) => Err(StoreError::io("put", &self.path, injected(kind))),
            Fate::LostReply(kind) => {
                self.inner.finish()?;
                Err(StoreError::io("put", &self.path, injected(kind)))
            }
            Fate::Well | Fate::Torn { .. } => self.inner.finish(),
        }
    }
}
