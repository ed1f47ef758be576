//! How a remote store is asked: each attempt for a bounded time, attempts again for a bounded time,
//! with pauses that grow and are never the same, and not shorter than the store asks for, up to a few
//! seconds. An answer whose bytes come slowly is not cut: its time begins anew with each that comes.
//!
//! The `object_store` crate's own repeating is off: it would repeat a conditional put whose reply was
//! lost, and take our own object for another writer's.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milvus_base::retry::Backoff;
use milvus_base::{Clock, random};

use super::cause::{self, Answer, RemoteCause};
use crate::error::StoreError;

/// A store that asks for a longer pause is asked again after this: MinIO says two minutes while it starts,
/// and is ready in seconds.
const MOST_ASKED: Duration = Duration::from_secs(5);
/// What a request moves this fast is not called slow, in bytes for each second.
const SLOWEST: u64 = 1024 * 1024;
/// As many bytes are moved within the time of one request.
const WITHIN_TIMEOUT: u64 = 8 * 1024 * 1024;

/// For how long a store is asked.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) clock: Clock,
    /// Of one attempt.
    pub(super) request_timeout: Duration,
    /// Of all attempts.
    pub(super) retry_timeout: Duration,
    pub(super) pauses: Backoff,
}

/// What is asked, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) op: &'static str,
    pub(super) path: &'a str,
    pub(super) bucket: &'a str,
}

/// Why a call gave no value.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) answer: Answer,
    pub(super) attempts: u32,
    /// An attempt may have been carried out although none succeeded.
    pub(super) in_doubt: bool,
}

/// The attempts of one call.
pub(super) struct Attempts<'a> {
    policy: &'a Policy,
    call: Call<'a>,
    timeout: Duration,
    deadline: Duration,
    count: u32,
    in_doubt: bool,
    /// How long the store asked us to stay away.
    asked: Duration,
}

/// How many bytes of an answer have come; who reads them adds them up.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Policy {
    pub(super) fn new(clock: Clock, request_timeout: Duration, retry_timeout: Duration) -> Self {
        let pauses = Backoff {
            first: Duration::from_millis(50),
            max: Duration::from_secs(3),
            jitter: 0.3,
            ..Backoff::default()
        };
        Self { clock, request_timeout, retry_timeout, pauses }
    }

    /// The attempts of `call`, each of which moves `bytes`.
    pub(super) fn attempts<'a>(&'a self, call: Call<'a>, bytes: u64) -> Attempts<'a> {
        let extra = Duration::from_secs(bytes.saturating_sub(WITHIN_TIMEOUT) / SLOWEST);
        Attempts {
            policy: self,
            call,
            timeout: self.request_timeout.saturating_add(extra),
            deadline: self
                .clock
                .monotonic()
                .saturating_add(self.retry_timeout)
                .saturating_add(extra),
            count: 0,
            in_doubt: false,
            asked: Duration::ZERO,
        }
    }

    /// Repeats `attempt` until it gives a value or an answer that no repeating would change.
    pub(super) async fn repeat<T, F>(
        &self,
        call: Call<'_>,
        bytes: u64,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        let mut attempts = self.attempts(call, bytes);
        loop {
            match attempts.once(attempt()).await {
                Ok(value) => return Ok(value),
                Err(answer) => attempts.pause(answer).await?,
            }
        }
    }
}

impl Policy {
    /// The same for a read, whose attempts may last as long as bytes come.
    pub(super) async fn repeat_read<T, F>(
        &self,
        call: Call<'_>,
        mut attempt: impl FnMut(Progress) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        let mut attempts = self.attempts(call, 0);
        loop {
            let progress = Progress::default();
            match attempts.once_while(attempt(progress.clone()), &progress).await {
                Ok(value) => return Ok(value),
                Err(answer) => attempts.pause(answer).await?,
            }
        }
    }
}

impl Attempts<'_> {
    /// Waits for one attempt, as long as one may take and the whole may last.
    pub(super) async fn once<T>(
        &mut self,
        attempt: impl Future<Output = object_store::Result<T>> + Send,
    ) -> Result<T, Answer> {
        self.once_while(attempt, &Progress::default()).await
    }

    /// The same, and longer while `progress` is made.
    async fn once_while<T>(
        &mut self,
        attempt: impl Future<Output = object_store::Result<T>> + Send,
        progress: &Progress,
    ) -> Result<T, Answer> {
        self.count += 1;
        self.asked = Duration::ZERO;
        let left = self.deadline.saturating_sub(self.policy.clock.monotonic());
        let timeout = self.timeout.min(left);
        tokio::select! {
            result = attempt => result.map_err(|error| {
                self.asked = cause::retry_after(&error).unwrap_or_default();
                Answer::of(&error)
            }),
            () = stalled(&self.policy.clock, timeout, self.timeout, progress) => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                let cause = RemoteCause::Timeout { timeout_ms };
                Err(Answer::Trouble { cause, in_doubt: true })
            }
        }
    }

    /// Returns when it is time for another attempt; an error if none would help or none is left.
    pub(super) async fn pause(&mut self, answer: Answer) -> Result<(), Failure> {
        let Answer::Trouble { cause, in_doubt } = &answer else {
            return Err(self.failure(answer));
        };
        self.in_doubt |= in_doubt;
        let pause = self.policy.pauses.pause(self.count - 1);
        let pause =
            random::jitter(pause, self.policy.pauses.jitter).max(self.asked.min(MOST_ASKED));
        if self.policy.clock.monotonic().saturating_add(pause) >= self.deadline {
            return Err(self.failure(answer));
        }
        let Call { op, path, .. } = self.call;
        tracing::debug!(op, path, attempt = self.count, %cause, "object store is asked again");
        self.policy.clock.sleep(pause).await;
        Ok(())
    }

    /// Whether an attempt so far may have been carried out.
    pub(super) fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    fn failure(&self, answer: Answer) -> Failure {
        Failure { answer, attempts: self.count, in_doubt: self.in_doubt }
    }
}

/// Returns once nothing came for `first`, then for `each` time.
async fn stalled(clock: &Clock, first: Duration, each: Duration, progress: &Progress) {
    let (mut wait, mut seen) = (first, progress.bytes());
    loop {
        clock.sleep(wait).await;
        let now = progress.bytes();
        if now == seen {
            return;
        }
        (wait, seen) = (each, now);
    }
}

impl Failure {
    /// The error of `call` that failed so.
    pub(super) fn into_error(self, call: Call<'_>) -> StoreError {
        let (op, path) = (call.op, call.path.to_owned());
        match self.answer {
            Answer::NotFound => StoreError::NotFound { path },
            Answer::NoBucket => StoreError::BucketNotFound { bucket: call.bucket.to_owned() },
            Answer::Denied(source) => StoreError::Denied { op, path, source },
            Answer::Refused(source) => StoreError::Refused { op, path, source },
            Answer::Trouble { cause: source, .. } => {
                StoreError::Unavailable { op, path, attempts: self.attempts, source }
            }
            // Who sends a condition or a range handles these; left over they are odd answers.
            Answer::Condition => StoreError::Refused { op, path, source: odd(412) },
            Answer::Range => StoreError::Refused { op, path, source: odd(416) },
        }
    }
}

fn odd(status: u16) -> RemoteCause {
    RemoteCause::Status { status, code: String::new(), message: String::new() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    const CALL: Call<'static> = Call { op: "get", path: "a", bucket: "b" };

    fn policy(request_ms: u64, retry_ms: u64) -> Policy {
        let ms = Duration::from_millis;
        let pauses = Backoff { first: ms(1), max: ms(5), ..Backoff::default() };
        Policy { pauses, ..Policy::new(Clock::system(), ms(request_ms), ms(retry_ms)) }
    }

    #[tokio::test]
    async fn a_stall_ends_in_a_typed_error_within_the_time_allowed() {
        let clock = Clock::system();
        let before = clock.monotonic();
        let stall = std::future::pending::<object_store::Result<()>>;
        let failure = policy(20, 100).repeat(CALL, 0, stall).await.unwrap_err();
        assert!(clock.monotonic() - before >= Duration::from_millis(60));
        assert!(failure.in_doubt && failure.attempts >= 2, "{failure:?}");
        let error = failure.into_error(CALL);
        assert!(
            matches!(&error, StoreError::Unavailable { source: RemoteCause::Timeout { .. }, .. }),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn what_repeating_cannot_help_is_not_repeated() {
        let calls = AtomicU32::new(0);
        let refuse = || {
            calls.fetch_add(1, Ordering::Relaxed);
            let status = RemoteCause::Status { status: 403, code: "A".into(), message: "".into() };
            std::future::ready(Err::<(), _>(object_store::Error::Generic {
                store: "S3",
                source: Box::new(status),
            }))
        };
        let failure = policy(20, 1000).repeat(CALL, 0, refuse).await.unwrap_err();
        assert_eq!((failure.attempts, calls.load(Ordering::Relaxed)), (1, 1));
        let error = failure.into_error(CALL);
        assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    }

    #[test]
    fn large_requests_have_more_time() {
        let policy = policy(1000, 2000);
        assert_eq!(policy.attempts(CALL, 8 << 20).timeout, Duration::from_secs(1));
        assert_eq!(policy.attempts(CALL, 64 << 20).timeout, Duration::from_secs(57));
    }
}
