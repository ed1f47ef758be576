//! Which copies there are, what they take, and which leave. Decides in memory; the files are `disk`'s.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::disk::Copy;

/// What a cache did since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Reads that found a copy.
    pub hits: u64,
    /// Reads that had to fetch one, or found none for a range.
    pub misses: u64,
    /// Bytes fetched from the store behind into copies.
    pub fetched_bytes: u64,
    /// Bytes kept on their way into the store behind.
    pub kept_bytes: u64,
    /// Copies that left for want of space.
    pub evictions: u64,
    /// Their bytes.
    pub evicted_bytes: u64,
    /// Objects read into memory: too large, or the disk failed.
    pub bypasses: u64,
    /// Copies there are.
    pub objects: u64,
    /// What they take, with those on their way, in bytes.
    pub used_bytes: u64,
    /// What they may take, in bytes.
    pub max_bytes: u64,
}

/// The space of a cache.
#[derive(Debug)]
pub(super) struct Space {
    directory: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    stats: CacheStats,
    copies: HashMap<String, Entry>,
    /// Paths by their last use; the first leaves first.
    order: BTreeMap<u64, String>,
    uses: u64,
    /// What the copies take, without those on their way.
    listed_bytes: u64,
    fetches: HashMap<String, Fetch>,
}

#[derive(Debug)]
struct Entry {
    copy: Copy,
    used_at: u64,
    reserved: Reserved,
}

/// Someone fetches an object.
#[derive(Debug)]
struct Fetch {
    done: watch::Receiver<()>,
    /// The object was put or deleted meanwhile.
    stale: bool,
}

/// Bytes that are taken until this is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    state: std::sync::Weak<Mutex<State>>,
    bytes: u64,
}

/// What there is to do for who wants a copy.
pub(super) enum Turn {
    /// It is there.
    Hit(Copy),
    /// Fetch it.
    Fetch(FetchGuard),
    /// Another does; ask again when it is done.
    Wait(watch::Receiver<()>),
}

/// The right to fetch an object; ends when dropped.
#[derive(Debug)]
pub(super) struct FetchGuard {
    space: Arc<Mutex<State>>,
    path: String,
    /// Dropped with this: whoever waits sees it.
    _done: watch::Sender<()>,
}

impl Drop for FetchGuard {
    fn drop(&mut self) {
        self.space.lock().fetches.remove(&self.path);
    }
}

impl Reserved {
    /// Takes `bytes` more of `space`; false if it has no room for them.
    pub(super) fn grow(&mut self, space: &Space, bytes: u64) -> bool {
        let Some(mut more) = space.reserve(bytes) else {
            return false;
        };
        self.bytes += std::mem::take(&mut more.bytes);
        true
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.bytes > 0
            && let Some(state) = self.state.upgrade()
        {
            state.lock().stats.used_bytes -= self.bytes;
        }
    }
}

impl Space {
    pub(super) fn new(directory: PathBuf, max_bytes: u64) -> Self {
        let stats = CacheStats { max_bytes, ..CacheStats::default() };
        let state = State { stats, ..State::default() };
        Self { directory, state: Arc::new(Mutex::new(state)) }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn stats(&self) -> CacheStats {
        let state = self.state.lock();
        CacheStats { objects: state.copies.len() as u64, ..state.stats }
    }

    /// The copy of the object at `path`, for a reader who would not fetch it.
    pub(super) fn find(&self, path: &str) -> Option<Copy> {
        let mut state = self.state.lock();
        let copy = state.touch(path);
        match copy {
            Some(_) => state.stats.hits += 1,
            None => state.stats.misses += 1,
        }
        copy
    }

    /// The copy of the object at `path`, or the right to fetch it.
    pub(super) fn turn(&self, path: &str) -> Turn {
        let mut state = self.state.lock();
        if let Some(copy) = state.touch(path) {
            state.stats.hits += 1;
            return Turn::Hit(copy);
        }
        if let Some(fetch) = state.fetches.get(path) {
            return Turn::Wait(fetch.done.clone());
        }
        state.stats.misses += 1;
        let (sender, done) = watch::channel(());
        state.fetches.insert(path.to_owned(), Fetch { done, stale: false });
        let space = Arc::clone(&self.state);
        Turn::Fetch(FetchGuard { space, path: path.to_owned(), _done: sender })
    }

    /// Room for `bytes`, made if need be by having copies leave; none if they are more than may be.
    pub(super) fn reserve(&self, bytes: u64) -> Option<Reserved> {
        let left = self.state.lock().make_room(bytes)?;
        for copy in left {
            copy.remove();
        }
        Some(Reserved { state: Arc::downgrade(&self.state), bytes })
    }

    /// Makes `copy`, which was fetched, the copy of its object. False, and it is gone, if the object
    /// was put or deleted since `guard` was given.
    pub(super) fn fetched(&self, copy: Copy, reserved: Reserved, guard: &FetchGuard) -> bool {
        let mut state = self.state.lock();
        if state.fetches.get(&guard.path).is_none_or(|fetch| fetch.stale) {
            drop(state);
            copy.remove();
            return false;
        }
        state.stats.fetched_bytes += copy.meta.size;
        let replaced = state.insert(copy, reserved);
        drop(state);
        drop_entry(replaced);
        true
    }

    /// Makes `copy`, which was kept on its way, the copy of its object.
    pub(super) fn insert(&self, copy: Copy, reserved: Reserved) {
        let mut state = self.state.lock();
        state.stats.kept_bytes += copy.meta.size;
        let replaced = state.insert(copy, reserved);
        drop(state);
        drop_entry(replaced);
    }

    /// Has the copy of the object at `path` leave: the object changed.
    pub(super) fn forget(&self, path: &str) {
        let mut state = self.state.lock();
        if let Some(fetch) = state.fetches.get_mut(path) {
            fetch.stale = true;
        }
        let left = state.remove(path);
        drop(state);
        drop_entry(left);
    }

    /// Counts an object that was read into memory.
    pub(super) fn bypassed(&self) {
        self.state.lock().stats.bypasses += 1;
    }
}

/// Removes the file of an entry that is no longer listed, and gives its space back.
fn drop_entry(entry: Option<Entry>) {
    if let Some(entry) = entry {
        entry.copy.remove();
    }
}

impl State {
    /// Takes `bytes`; gives the copies that leave for them, or none if nothing could make the room.
    fn make_room(&mut self, bytes: u64) -> Option<Vec<Copy>> {
        // What is on its way cannot leave.
        let fixed = self.stats.used_bytes - self.listed_bytes;
        if fixed.saturating_add(bytes) > self.stats.max_bytes {
            return None;
        }
        let mut left = Vec::new();
        while self.stats.used_bytes.saturating_add(bytes) > self.stats.max_bytes {
            let (_, path) = self.order.pop_first()?;
            let Some(mut entry) = self.remove(&path) else {
                continue;
            };
            // Given back here, under the lock, instead of when it is dropped.
            self.stats.used_bytes -= std::mem::take(&mut entry.reserved.bytes);
            self.stats.evictions += 1;
            self.stats.evicted_bytes += entry.copy.meta.size;
            left.push(entry.copy);
        }
        self.stats.used_bytes += bytes;
        Some(left)
    }

    fn touch(&mut self, path: &str) -> Option<Copy> {
        let entry = self.copies.get_mut(path)?;
        self.uses += 1;
        self.order.remove(&entry.used_at);
        entry.used_at = self.uses;
        self.order.insert(self.uses, path.to_owned());
        Some(entry.copy.clone())
    }

    /// Lists `copy`; gives the one that was there.
    fn insert(&mut self, copy: Copy, reserved: Reserved) -> Option<Entry> {
        let path = copy.meta.path.clone();
        let replaced = self.remove(&path);
        self.uses += 1;
        self.listed_bytes += reserved.bytes;
        self.order.insert(self.uses, path.clone());
        self.copies.insert(path, Entry { copy, used_at: self.uses, reserved });
        replaced
    }

    fn remove(&mut self, path: &str) -> Option<Entry> {
        let entry = self.copies.remove(path)?;
        self.order.remove(&entry.used_at);
        self.listed_bytes -= entry.reserved.bytes;
        Some(entry)
    }
}
