//! The data node, and what it was asked for. Its work can be held, and goes on when its future is dropped, as
//! that of a thread does.

use std::sync::Arc;

use async_trait::async_trait;
use milvus_base::task;
use milvus_data::DataService;
use milvus_format::manifest::IndexEntry;
use milvus_roles::{BuildIndex, CompactSegments, Compacted, DataNode};
use milvus_types::{CollectionId, Result, SegmentId};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::gate::Hold;

/// What can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Build,
    Compaction,
}

struct Stop {
    at: Work,
    reached: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

pub(crate) struct Node {
    pub(crate) service: Arc<DataService>,
    /// The inputs of every compaction.
    pub(crate) compacted: Mutex<Vec<Vec<SegmentId>>>,
    stop: Mutex<Option<Stop>>,
    working: watch::Sender<usize>,
}

impl Node {
    pub(crate) fn new(service: DataService) -> Self {
        Self {
            service: Arc::new(service),
            compacted: Mutex::default(),
            stop: Mutex::default(),
            working: watch::channel(0).0,
        }
    }

    /// The next work of kind `at` waits before it begins.
    pub(crate) fn hold(&self, at: Work) -> Hold {
        let ((reached, is_reached), (go, goes)) = (oneshot::channel(), oneshot::channel());
        *self.stop.lock() = Some(Stop { at, reached, go: goes });
        Hold { reached: is_reached, go }
    }

    /// Runs `work` to its end, also where the caller goes away.
    async fn run<T: Send + 'static>(
        &self,
        kind: Work,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let stop = self.stop.lock().take_if(|stop| stop.at == kind);
        self.working.send_modify(|working| *working += 1);
        let working = self.working.clone();
        let thread = task::spawn("node", async move {
            if let Some(stop) = stop {
                stop.reached.send(()).unwrap();
                stop.go.await.unwrap();
            }
            let done = work.await;
            working.send_modify(|working| *working -= 1);
            done
        });
        thread.await.unwrap()
    }
}

#[async_trait]
impl DataNode for Node {
    async fn compact(&self, task: CompactSegments) -> Result<Compacted> {
        self.compacted.lock().push(task.inputs.iter().map(|input| input.id).collect());
        let service = self.service.clone();
        self.run(Work::Compaction, async move { service.compact(task).await }).await
    }

    async fn build_index(&self, task: BuildIndex) -> Result<IndexEntry> {
        let service = self.service.clone();
        self.run(Work::Build, async move { service.build_index(task).await }).await
    }

    async fn settled(&self, collection_id: CollectionId) {
        let mut working = self.working.subscribe();
        let _ = working.wait_for(|working| *working == 0).await;
        self.service.settled(collection_id).await;
    }
}
