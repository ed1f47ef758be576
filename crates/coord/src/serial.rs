//! A queue of decisions: each runs to its end before the next begins.
//!
//! The caller may go away; what it asked for is still done whole. The queue's task ends when the
//! queue is dropped.

use std::panic::AssertUnwindSafe;

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
                // A decision that panics is one failed decision, not the end of all later ones.
                if AssertUnwindSafe(job).catch_unwind().await.is_err() {
                    tracing::error!(queue = name, "a decision panicked");
                }
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
        let panicked = |_| Failure::internal("the coordinator panicked over this request");
        done.await.map_err(panicked)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_fails_one_decision_and_not_the_next() {
        let queue = Serial::new("test");
        let failed = queue.run::<()>(async { panic!("planned") }).await.unwrap_err();
        assert_eq!(failed.code, ErrorCode::ServiceInternal);
        assert_eq!(queue.run(async { Ok(7) }).await.unwrap(), 7);
    }
}
