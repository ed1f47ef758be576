//! Blocking I/O (`fsync`, directory listings, an embedded database) off the async threads.
//!
//! CPU work belongs to [`cpu`](crate::cpu), whose queue is bounded; the threads here mostly wait.

use tokio::task::JoinHandle;

use crate::panic::Panicked;

/// Starts `f` on a thread that may block; it runs to its end whether or not the handle is kept.
/// Panics when called outside a runtime.
#[expect(clippy::disallowed_methods, reason = "the one place that hands work to blocking threads")]
pub fn spawn<T, F>(f: F) -> JoinHandle<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    tokio::task::spawn_blocking(f)
}

/// Runs `f` on a thread that may block and gives its value; a panic in `f` becomes an error.
///
/// Once started `f` runs to its end, whether or not the caller still waits.
pub async fn run<T, F>(f: F) -> Result<T, Panicked>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    spawn(f).await.map_err(|error| match error.try_into_panic() {
        Ok(payload) => Panicked::new("blocking I/O", &*payload),
        Err(error) => Panicked { work: "blocking I/O", message: error.to_string() },
    })
}

/// Like [`run`] for work that may fail, with both failures in one error type.
pub async fn try_run<T, E, F>(f: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Panicked> + Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    run(f).await.unwrap_or_else(|panicked| Err(panicked.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn values_errors_and_panics_reach_the_caller() {
        assert_eq!(run(|| 7).await, Ok(7));
        let panicked = run(|| -> () { panic!("disk {}", 3) }).await.unwrap_err();
        assert_eq!(panicked.to_string(), "blocking I/O panicked: disk 3");
        let missing = try_run(|| std::fs::read("/no/such/file")).await.unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    }
}
