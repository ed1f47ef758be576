//! A queue of decisions: each runs to its end before the next begins.
//!
//! The caller may go away; what it asked for is still done whole. The queue's task ends when the
//! queue is dropped.

use futures::FutureExt;
use futures::future::BoxFuture;
use milvus_base::task;
use milvus_types::{ErrorCode, Failure, Result};
use tokio::sync::{mpsc, oneshot};

type Job = BoxFuture<'static, ()>;

pub(crate) struct Serial {
    jobs: mpsc::UnboundedSender<Job>,
}

impl Serial {
    pub(crate) fn new(name: &'static str) -> Self {
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        task::spawn(name, async move {
            while let Some(job) = queue.recv().await {
                job.await;
            }
        });
        Self { jobs }
    }

    /// Runs `decision` after all that were queued before it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        decision: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (reply, done) = oneshot::channel();
        let job = async move {
            let _ = reply.send(decision.await);
        };
        let stopping = || Failure::wrap(ErrorCode::ServiceNotReady, "the coordinator is stopping");
        self.jobs.send(job.boxed()).map_err(|_| stopping())?;
        done.await.map_err(|_| stopping())?
    }
}
