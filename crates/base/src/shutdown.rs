//! Stopping in order: a signal that everybody hears, and a tracker of what must finish first.
//!
//! `Shutdown` says "stop"; `Drain` knows who has not stopped yet. A role stops by ceasing to accept
//! work when its token is triggered, finishing what it began inside its drain, and returning.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The signal to stop; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A signal not given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal, to this one and to all its children. Giving it twice changes nothing.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Returns once the signal is given.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }

    /// Whether the signal was given.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// A signal that is given with this one, and can be given by itself earlier.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}

/// The tasks and requests that a role finishes before it stops; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Drain(TaskTracker);

impl Drain {
    /// Nothing under way.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts `future` as a task called `name` that is waited for.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future.instrument(tracing::debug_span!("task", name)))
    }

    /// Makes `future` one that is waited for, until it ends or is dropped.
    pub fn track<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.track_future(future)
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns once nothing is under way. What starts meanwhile is waited for too.
    pub async fn wait(&self) {
        self.0.close();
        self.0.wait().await;
    }

    /// Like [`Drain::wait`], for at most `limit`; says whether everything ended.
    pub async fn wait_for(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn children_hear_their_parent_and_not_the_other_way_round() {
        let parent = Shutdown::new();
        let (one, two) = (parent.child(), parent.child());
        one.trigger();
        assert!(one.is_triggered() && !parent.is_triggered() && !two.is_triggered());
        parent.trigger();
        two.wait().await;
    }

    #[tokio::test]
    async fn a_drain_waits_for_what_is_under_way() {
        let (drain, stop) = (Drain::new(), Shutdown::new());
        let heard = stop.clone();
        let task = drain.spawn("waits", async move { heard.wait().await });
        assert_eq!(drain.len(), 1);
        assert!(!drain.wait_for(Duration::from_millis(1)).await);
        stop.trigger();
        drain.wait().await;
        assert!(drain.is_empty() && task.is_finished());
    }
}
