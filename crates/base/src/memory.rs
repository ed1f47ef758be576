//! The memory governor: one budget for the process, which every large allocation is charged to first.
//!
//! - The sum of reservations made by [`Governor::try_reserve`] and of what is known to be in use
//!   without one ([`Governor::set_uncharged`]) never exceeds the limit; what does not fit is refused with [`MemoryLimitExceeded`] instead of being killed by the system later.
//! - A [`Reservation`] gives its bytes back when dropped.
//! - Inserts never take the last of it, or what they wait for could not be done.
//! - Who can wait takes it by `reserve_within` (`memory/wait.rs`), which has others make room.
//! - Replay of the log must not fail for memory that was granted before a restart:
//!   [`Governor::reserve`] always succeeds, and then nothing else fits until it is given back.
//!
//! Reservations are estimates by their callers; nothing here measures the allocator.

#[cfg(feature = "tokio")]
mod wait;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What memory is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Requests in flight and growing segments.
    Insert = 0,
    /// Loaded sealed segments and their indexes.
    Load = 1,
    /// Index builds and compaction.
    Build = 2,
    /// Searches and queries in flight.
    Query = 3,
    /// Whatever may be dropped at any time.
    Cache = 4,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 5] = [Self::Insert, Self::Load, Self::Build, Self::Query, Self::Cache];

    /// The name metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Load => "load",
            Self::Build => "build",
            Self::Query => "query",
            Self::Cache => "cache",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A reservation that would have exceeded the limit; the text is that of Milvus's code 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimitExceeded {
    /// What the memory was wanted for.
    pub purpose: Purpose,
    /// What would have been in use had it been granted.
    pub predicted_bytes: u64,
    /// The most that may be in use.
    pub limit_bytes: u64,
}

impl fmt::Display for MemoryLimitExceeded {
    #[expect(clippy::cast_precision_loss, reason = "shown to a reader")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MB: f64 = 1024.0 * 1024.0;
        let (predict, limit) = (self.predicted_bytes as f64 / MB, self.limit_bytes as f64 / MB);
        write!(f, "memory limit exceeded[predict(MB)={predict}][limit(MB)={limit}]")
    }
}

impl std::error::Error for MemoryLimitExceeded {}

/// Inserts leave one part in so many to others: loading what was written out gives theirs back.
const INSERTS_LEAVE: u64 = 8;

/// The process's memory budget; clones share it.
#[derive(Clone, Debug)]
pub struct Governor(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    limit: AtomicU64,
    used: AtomicU64,
    uncharged: AtomicU64,
    by_purpose: [AtomicU64; Purpose::ALL.len()],
    #[cfg(feature = "tokio")]
    wanted: AtomicU64,
    #[cfg(feature = "tokio")]
    short: tokio::sync::Notify,
}

impl Governor {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Self {
        Self(Arc::new(Budget {
            limit: AtomicU64::new(limit_bytes),
            used: AtomicU64::new(0),
            uncharged: AtomicU64::new(0),
            by_purpose: Default::default(),
            #[cfg(feature = "tokio")]
            wanted: AtomicU64::new(0),
            #[cfg(feature = "tokio")]
            short: tokio::sync::Notify::new(),
        }))
    }

    /// Takes `bytes` if they fit.
    pub fn try_reserve(
        &self,
        purpose: Purpose,
        bytes: u64,
    ) -> Result<Reservation, MemoryLimitExceeded> {
        self.0.try_take(purpose, bytes)?;
        Ok(Reservation { governor: self.clone(), purpose, bytes })
    }

    /// Takes `bytes` whether they fit or not: for memory that is in use already.
    pub fn reserve(&self, purpose: Purpose, bytes: u64) -> Reservation {
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
        self.0.gauge(purpose).fetch_add(bytes, Ordering::Relaxed);
        Reservation { governor: self.clone(), purpose, bytes }
    }

    /// The most bytes that may be in use.
    pub fn limit(&self) -> u64 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit; what is reserved stays.
    pub fn set_limit(&self, limit_bytes: u64) {
        self.0.limit.store(limit_bytes, Ordering::Relaxed);
    }

    /// Memory of the process that nobody reserved: buffers, caches, what the allocator keeps. It counts
    /// against the limit like what is reserved.
    pub fn set_uncharged(&self, bytes: u64) {
        self.0.uncharged.store(bytes, Ordering::Relaxed);
    }

    /// Bytes in use that nobody reserved, as last told.
    pub fn uncharged(&self) -> u64 {
        self.0.uncharged.load(Ordering::Relaxed)
    }

    /// Bytes reserved for all purposes.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes reserved and bytes in use that nobody reserved.
    pub fn in_use(&self) -> u64 {
        self.used().saturating_add(self.uncharged())
    }

    /// Bytes reserved for `purpose`.
    pub fn used_for(&self, purpose: Purpose) -> u64 {
        self.0.gauge(purpose).load(Ordering::Relaxed)
    }
}

impl Budget {
    fn try_take(&self, purpose: Purpose, bytes: u64) -> Result<(), MemoryLimitExceeded> {
        let limit_bytes = self.limit.load(Ordering::Relaxed);
        let uncharged = self.uncharged.load(Ordering::Relaxed);
        let free = limit_bytes.saturating_sub(uncharged);
        let kept = if purpose == Purpose::Insert { free / INSERTS_LEAVE } else { 0 };
        let free = free - kept;
        let take = |used: u64| used.checked_add(bytes).filter(|charged| *charged <= free);
        match self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => {
                self.gauge(purpose).fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            // Nothing asked is nothing refused, even when over the limit.
            Err(_) if bytes == 0 => Ok(()),
            Err(used) => Err(MemoryLimitExceeded {
                purpose,
                predicted_bytes: used
                    .saturating_add(uncharged)
                    .saturating_add(kept)
                    .saturating_add(bytes),
                limit_bytes,
            }),
        }
    }

    fn give_back(&self, purpose: Purpose, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.gauge(purpose).fetch_sub(bytes, Ordering::Relaxed);
    }

    fn gauge(&self, purpose: Purpose) -> &AtomicU64 {
        let [insert, load, build, query, cache] = &self.by_purpose;
        match purpose {
            Purpose::Insert => insert,
            Purpose::Load => load,
            Purpose::Build => build,
            Purpose::Query => query,
            Purpose::Cache => cache,
        }
    }
}

/// Bytes taken from a [`Governor`]; given back when dropped.
#[derive(Debug)]
#[must_use = "dropping a reservation gives its bytes back"]
pub struct Reservation {
    governor: Governor,
    purpose: Purpose,
    bytes: u64,
}

impl Reservation {
    /// How many bytes it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Takes `bytes` more if they fit; otherwise nothing changes.
    pub fn grow(&mut self, bytes: u64) -> Result<(), MemoryLimitExceeded> {
        self.governor.0.try_take(self.purpose, bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back `bytes`, or all there are if those are fewer.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.governor.0.give_back(self.purpose, bytes);
    }

    /// Grows or shrinks to `bytes`.
    pub fn resize(&mut self, bytes: u64) -> Result<(), MemoryLimitExceeded> {
        if bytes > self.bytes {
            self.grow(bytes - self.bytes)
        } else {
            self.shrink(self.bytes - bytes);
            Ok(())
        }
    }

    /// Moves `bytes` (or all there are if those are fewer) to a reservation of their own.
    pub fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { governor: self.governor.clone(), purpose: self.purpose, bytes }
    }

    /// Takes over what `other` holds, counted for this reservation's purpose from now on. Both must
    /// come from one governor.
    pub fn merge(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.governor.0, &other.governor.0));
        let bytes = std::mem::take(&mut other.bytes);
        self.governor.0.gauge(other.purpose).fetch_sub(bytes, Ordering::Relaxed);
        self.governor.0.gauge(self.purpose).fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.governor.0.give_back(self.purpose, self.bytes);
    }
}

/// The memory this process may use: the smaller of the machine's and its control group's; `None`
/// where the system tells neither.
pub fn available_bytes() -> Option<u64> {
    let machine = read("/proc/meminfo").and_then(|text| mem_total(&text));
    let group = read("/proc/self/cgroup")
        .map(|text| group_limit_files(&text))
        .unwrap_or_default()
        .iter()
        .filter_map(|path| read(path)?.trim().parse::<u64>().ok())
        .min();
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

/// The default limit: nine tenths of [`available_bytes`], or 4 GiB where that is unknown.
pub fn default_limit_bytes() -> u64 {
    available_bytes().map_or(4 << 30, |bytes| bytes / 10 * 9)
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// `MemTotal:  16316412 kB`
fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The files that may hold a limit for a process whose `/proc/self/cgroup` is `groups`: those of
/// its group and of every group above it, in both versions of control groups.
fn group_limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            files.push(format!("{root}{path}/{file}"));
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => break,
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_milvus_text() {
        let governor = Governor::new(4 << 20);
        let held = governor.try_reserve(Purpose::Insert, 3 << 20).unwrap();
        let error = governor.try_reserve(Purpose::Load, 3 << 19).unwrap_err();
        assert_eq!(error.to_string(), "memory limit exceeded[predict(MB)=4.5][limit(MB)=4]");
        assert!(governor.try_reserve(Purpose::Load, u64::MAX).is_err());
        drop(held);
        assert!(governor.try_reserve(Purpose::Load, 4 << 20).is_ok());
        assert_eq!(governor.used(), 0);
    }

    #[test]
    fn what_nobody_reserved_counts_against_the_limit() {
        let governor = Governor::new(4 << 20);
        governor.set_uncharged(1 << 20);
        let error = governor.try_reserve(Purpose::Load, 7 << 19).unwrap_err();
        assert_eq!(error.to_string(), "memory limit exceeded[predict(MB)=4.5][limit(MB)=4]");
        let _held = governor.try_reserve(Purpose::Load, 3 << 20).unwrap();
        governor.set_uncharged(u64::MAX);
        assert!(governor.try_reserve(Purpose::Load, 1).is_err());
        assert!(governor.try_reserve(Purpose::Load, 0).is_ok());
        assert_eq!(governor.used(), 3 << 20);
    }

    #[test]
    fn inserts_leave_room_for_what_gives_theirs_back() {
        let governor = Governor::new(4 << 20);
        let _held = governor.try_reserve(Purpose::Insert, 7 << 19).unwrap();
        let error = governor.try_reserve(Purpose::Insert, 1 << 19).unwrap_err();
        assert_eq!(error.to_string(), "memory limit exceeded[predict(MB)=4.5][limit(MB)=4]");
        assert!(governor.try_reserve(Purpose::Load, 1 << 19).is_ok());
    }

    #[test]
    fn gauges_follow_growing_shrinking_splitting_and_merging() {
        let governor = Governor::new(100);
        let mut held = governor.try_reserve(Purpose::Build, 40).unwrap();
        held.grow(50).unwrap();
        assert!(held.grow(11).is_err());
        held.shrink(30);
        let part = held.split(20);
        assert_eq!((held.bytes(), part.bytes(), governor.used()), (40, 20, 60));
        let mut loaded = governor.try_reserve(Purpose::Load, 5).unwrap();
        loaded.merge(part);
        assert_eq!((governor.used_for(Purpose::Build), governor.used_for(Purpose::Load)), (40, 25));
        held.resize(75).unwrap();
        assert!(held.resize(76).is_err());
        held.resize(0).unwrap();
        drop(loaded);
        assert_eq!(governor.used(), 0);
    }

    #[test]
    fn replay_may_exceed_the_limit_and_then_nothing_else_fits() {
        let governor = Governor::new(10);
        let replayed = governor.reserve(Purpose::Insert, 25);
        assert!(governor.try_reserve(Purpose::Query, 1).is_err());
        assert!(governor.try_reserve(Purpose::Query, 0).is_ok());
        drop(replayed);
        assert!(governor.try_reserve(Purpose::Query, 10).is_ok());
    }

    #[test]
    fn limits_are_found_in_both_versions_of_control_groups() {
        assert_eq!(mem_total("MemFree: 1 kB\nMemTotal:  2 kB\n"), Some(2048));
        assert_eq!(
            group_limit_files("0::/a/b\n"),
            [
                "/sys/fs/cgroup/a/b/memory.max",
                "/sys/fs/cgroup/a/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            group_limit_files("7:cpu,cpuacct:/x\n4:memory:/\n"),
            ["/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        );
        assert!(default_limit_bytes() > 0);
    }
}
