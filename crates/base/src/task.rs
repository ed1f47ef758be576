//! Named tasks on the async runtime.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Starts `future` as a task called `name`, which its log lines bear at level debug.
///
/// Dropping the handle lets the task run on. Tasks that must end before the process does belong to
/// a [`Drain`](crate::shutdown::Drain). Panics when called outside a runtime.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns, under a name")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.instrument(tracing::debug_span!("task", name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_gives_its_result_and_confines_its_panic() {
        assert_eq!(spawn("sum", async { 1 + 1 }).await.unwrap(), 2);
        assert!(spawn("bad", async { panic!("planned") }).await.unwrap_err().is_panic());
    }
}
