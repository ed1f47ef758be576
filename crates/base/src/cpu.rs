//! CPU pools: named threads for work that computes, with a bounded queue and strict priorities.
//!
//! - A job of a higher priority is always taken before one of a lower. Jobs are not interrupted, so
//!   work that runs long (index builds) gets a pool of its own and never stands before a search.
//! - When the queue is full a job is refused at once ([`CpuError::QueueFull`]); nothing waits unseen.
//! - A queued job whose caller has gone is skipped.
//! - A panic ends its job only; the caller gets [`CpuError::Panicked`].
//! - Threads start with the first jobs, so a pool that is never used costs nothing.
//!
//! Blocking I/O belongs to [`io`](crate::io).

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::panic::Panicked;

/// Which of the queued jobs goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Priority {
    /// A client waits for an answer: search, query.
    Search = 0,
    /// A client waits for an acknowledgement: decode, apply.
    Write = 1,
    /// Nobody waits: builds, compaction.
    Build = 2,
}

impl Priority {
    /// Every priority, highest first.
    pub const ALL: [Self; 3] = [Self::Search, Self::Write, Self::Build];
}

/// Why a job gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuError {
    /// As many jobs wait as may.
    #[error("queue of pool {pool} is full: {limit} jobs wait")]
    QueueFull {
        /// The pool.
        pool: String,
        /// The most jobs that may wait.
        limit: usize,
    },
    /// The pool is closed.
    #[error("pool {pool} is closed")]
    Closed {
        /// The pool.
        pool: String,
    },
    /// The system gave the pool not even one thread.
    #[error("pool {pool} could not start a thread: {message}")]
    NoThread {
        /// The pool.
        pool: String,
        /// What the system said.
        message: String,
    },
    /// The job itself panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// A pool of threads for CPU work; clones share it, and the last one dropped closes it.
#[derive(Clone, Debug)]
pub struct CpuPool(Arc<Owner>);

/// What the handles share; dropped with the last of them, which ends the threads.
#[derive(Debug)]
struct Owner(Arc<Shared>);

struct Shared {
    name: String,
    threads: usize,
    queue_limit: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queues: [VecDeque<Job>; 3],
    /// Threads started.
    started: usize,
    /// Threads that wait for a job.
    idle: usize,
    ongoing: usize,
    closed: bool,
}

struct Job {
    caller_gone: Box<dyn Fn() -> bool + Send>,
    work: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuPool").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CpuPool {
    /// A pool of at most `threads` threads (at least one) called `name-0`, `name-1`, ..., in whose
    /// queue at most `queue_limit` jobs wait.
    pub fn new(name: &str, threads: usize, queue_limit: usize) -> Self {
        Self(Arc::new(Owner(Arc::new(Shared {
            name: name.to_owned(),
            threads: threads.max(1),
            queue_limit,
            state: Mutex::new(State::default()),
            work: Condvar::new(),
        }))))
    }

    /// Queues `f` at once and gives a future of its result. Dropping the future before `f` starts
    /// takes `f` out of the running.
    pub fn run<T, F>(
        &self,
        priority: Priority,
        f: F,
    ) -> impl Future<Output = Result<T, CpuError>> + Send + 'static + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let queued = self.shared().push(priority, job(sender, f));
        let pool = self.shared().name.clone();
        async move {
            queued?;
            match receiver.await {
                Ok(result) => result.map_err(CpuError::from),
                Err(_) => Err(CpuError::Closed { pool }),
            }
        }
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        &self.shared().name
    }

    /// The most threads it uses.
    pub fn threads(&self) -> usize {
        self.shared().threads
    }

    /// Jobs that wait, of all priorities.
    pub fn pending(&self) -> usize {
        self.shared().state.lock().pending()
    }

    /// Jobs that run.
    pub fn ongoing(&self) -> usize {
        self.shared().state.lock().ongoing
    }

    /// Refuses new jobs, drops those that wait, and lets those that run finish.
    pub fn close(&self) {
        self.shared().close();
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

/// Packs `f` so that its result, or its panic, goes to `sender`.
fn job<T, F>(sender: oneshot::Sender<Result<T, Panicked>>, f: F) -> Job
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let sender = Arc::new(Mutex::new(Some(sender)));
    let watched = Arc::clone(&sender);
    let caller_gone = move || watched.lock().as_ref().is_none_or(oneshot::Sender::is_closed);
    let work = move || {
        let result = catch_unwind(AssertUnwindSafe(f))
            .map_err(|payload| Panicked::new("CPU job", &*payload));
        if let Some(sender) = sender.lock().take() {
            // The caller may have gone meanwhile; then nobody wants the result.
            let _ = sender.send(result);
        }
    };
    Job { caller_gone: Box::new(caller_gone), work: Box::new(work) }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl State {
    fn pending(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    fn pop(&mut self) -> Option<Job> {
        self.queues.iter_mut().find_map(VecDeque::pop_front)
    }

    fn queue(&mut self, priority: Priority) -> &mut VecDeque<Job> {
        let [search, write, build] = &mut self.queues;
        match priority {
            Priority::Search => search,
            Priority::Write => write,
            Priority::Build => build,
        }
    }
}

impl Shared {
    fn push(self: &Arc<Self>, priority: Priority, job: Job) -> Result<(), CpuError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(CpuError::Closed { pool: self.name.clone() });
        }
        if state.pending() >= self.queue_limit {
            // Those whose callers have gone only hold places; they are looked for when it matters.
            for queue in &mut state.queues {
                queue.retain(|job| !(job.caller_gone)());
            }
            if state.pending() >= self.queue_limit {
                return Err(CpuError::QueueFull {
                    pool: self.name.clone(),
                    limit: self.queue_limit,
                });
            }
        }
        if state.pending() >= state.idle && state.started < self.threads {
            self.start_thread(&mut state)?;
        }
        state.queue(priority).push_back(job);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Starts one more thread; that it fails matters only when there is none yet.
    fn start_thread(self: &Arc<Self>, state: &mut State) -> Result<(), CpuError> {
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("{}-{}", self.name, state.started));
        match thread.spawn(move || shared.work()) {
            Ok(_) => state.started += 1,
            Err(error) if state.started == 0 => {
                return Err(CpuError::NoThread {
                    pool: self.name.clone(),
                    message: error.to_string(),
                });
            }
            Err(error) => {
                tracing::warn!(pool = %self.name, threads = state.started, %error, "pool stays small");
            }
        }
        Ok(())
    }

    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.pop() {
                if (job.caller_gone)() {
                    continue;
                }
                state.ongoing += 1;
                drop(state);
                (job.work)();
                state = self.state.lock();
                state.ongoing -= 1;
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                self.work.wait(&mut state);
                state.idle -= 1;
            }
        }
    }

    fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.queues);
        drop(state);
        drop(waiting);
        self.work.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A job that holds the pool's only thread until the sender is dropped.
    fn blocker(pool: &CpuPool) -> (mpsc::Sender<()>, impl Future<Output = Result<(), CpuError>>) {
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        let running = pool.run(Priority::Build, move || {
            started.send(()).unwrap();
            let _ = released.recv();
        });
        has_started.recv().unwrap();
        (release, running)
    }

    #[tokio::test]
    async fn higher_priorities_go_first() {
        let pool = CpuPool::new("order", 1, 16);
        let (release, running) = blocker(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let queued: Vec<_> = [Priority::Build, Priority::Write, Priority::Search, Priority::Search]
            .into_iter()
            .enumerate()
            .map(|(i, priority)| {
                let order = Arc::clone(&order);
                pool.run(priority, move || order.lock().push(i))
            })
            .collect();
        assert_eq!((pool.pending(), pool.ongoing()), (4, 1));
        drop(release);
        running.await.unwrap();
        for job in queued {
            job.await.unwrap();
        }
        assert_eq!(*order.lock(), [2, 3, 1, 0]);
    }

    #[tokio::test]
    async fn a_job_without_a_caller_is_skipped_and_gives_up_its_place() {
        let pool = CpuPool::new("skip", 1, 1);
        let (release, running) = blocker(&pool);
        let ran = Arc::new(Mutex::new(false));
        let flag = Arc::clone(&ran);
        drop(pool.run(Priority::Search, move || *flag.lock() = true));
        let last = pool.run(Priority::Search, || 5);
        let full = pool.run(Priority::Search, || 6).await.unwrap_err();
        assert_eq!(full, CpuError::QueueFull { pool: "skip".into(), limit: 1 });
        drop(release);
        running.await.unwrap();
        assert_eq!(last.await, Ok(5));
        assert!(!*ran.lock());
    }

    #[tokio::test]
    async fn a_panic_ends_its_job_only() {
        let pool = CpuPool::new("panic", 1, 4);
        let error = pool.run(Priority::Write, || -> u8 { panic!("planned") }).await.unwrap_err();
        assert_eq!(error.to_string(), "CPU job panicked: planned");
        assert_eq!(pool.run(Priority::Write, || 1).await, Ok(1));
    }

    #[tokio::test]
    async fn a_closed_pool_refuses_and_drops_what_waits() {
        let pool = CpuPool::new("closed", 1, 4);
        let (release, running) = blocker(&pool);
        let waiting = pool.run(Priority::Search, || 1);
        pool.close();
        assert_eq!(waiting.await, Err(CpuError::Closed { pool: "closed".into() }));
        let refused = pool.run(Priority::Search, || 1).await;
        assert_eq!(refused, Err(CpuError::Closed { pool: "closed".into() }));
        drop(release);
        running.await.unwrap();
    }

    #[tokio::test]
    async fn jobs_run_side_by_side() {
        let pool = CpuPool::new("wide", 2, 4);
        let (left, right) = (mpsc::channel(), mpsc::channel());
        let (to_right, from_left) = left;
        let (to_left, from_right) = right;
        let one = pool.run(Priority::Search, move || {
            to_right.send(1).unwrap();
            from_right.recv().unwrap()
        });
        let two = pool.run(Priority::Search, move || {
            to_left.send(2).unwrap();
            from_left.recv().unwrap()
        });
        assert_eq!((one.await, two.await), (Ok(2), Ok(1)));
    }
}
