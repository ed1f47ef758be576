//! The files that are mapped now, so that their pages can be given back when memory is short.
//!
//! A page of a mapped file counts as memory of the process once it was touched, although the system
//! could drop it at any time. [`Maps::release_while`] drops such pages on purpose: what is touched again is
//! read again, from the system's cache or the disk. Nothing becomes invalid by it.
//!
//! Who decides when memory is short: the server (`memory_watch`).

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use memmap2::{Advice, Mmap, UncheckedAdvice};
use parking_lot::Mutex;

/// The mapped files of a store. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Maps(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    maps: VecDeque<Weak<Mmap>>,
    /// Whether pages are read one by one.
    is_sparing: bool,
}

/// One mapping, as the owner of the bytes that readers hold.
struct Owner(Arc<Mmap>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Maps {
    /// The bytes of `map`, which stays mapped as long as somebody holds a part of them.
    pub(crate) fn add(&self, map: Mmap) -> Bytes {
        let map = Arc::new(map);
        let mut state = self.0.lock();
        if state.maps.len() == state.maps.capacity() {
            state.maps.retain(|map| map.strong_count() > 0);
        }
        state.maps.push_back(Arc::downgrade(&map));
        if state.is_sparing {
            advise(&map, Advice::Random);
        }
        drop(state);
        Bytes::from_owner(Owner(map))
    }

    /// Bytes of all files that are mapped, in memory or not.
    pub fn mapped_bytes(&self) -> u64 {
        let state = self.0.lock();
        state.maps.iter().filter_map(Weak::upgrade).map(|map| map.len() as u64).sum()
    }

    /// Whether only the pages that are touched are read from disk from now on, and none ahead of them.
    ///
    /// Reading ahead helps as long as what was read stays; files larger than memory would push out
    /// what the next search needs by what no search has asked for.
    pub fn set_sparing(&self, is_sparing: bool) {
        let mut state = self.0.lock();
        if std::mem::replace(&mut state.is_sparing, is_sparing) == is_sparing {
            return;
        }
        let advice = if is_sparing { Advice::Random } else { Advice::Normal };
        state.maps.iter().filter_map(Weak::upgrade).for_each(|map| advise(&map, advice));
    }

    /// Takes the pages of one mapping after the other out of the process's memory for as long as
    /// `is_short` says so, each at most once, and returns of how many. Mappings take turns, so that
    /// calls in a row reach all.
    pub fn release_while(&self, mut is_short: impl FnMut() -> bool) -> usize {
        let turns = self.0.lock().maps.len();
        let mut released = 0;
        while released < turns && is_short() {
            let Some(map) = self.next() else { break };
            release(&map);
            released += 1;
        }
        released
    }

    /// The mapping whose turn it is; it goes to the end of the line.
    fn next(&self) -> Option<Arc<Mmap>> {
        let mut state = self.0.lock();
        loop {
            let first = state.maps.pop_front()?;
            if let Some(map) = first.upgrade() {
                state.maps.push_back(first);
                return Some(map);
            }
        }
    }
}

fn advise(map: &Mmap, advice: Advice) {
    if let Err(error) = map.advise(advice) {
        tracing::debug!(%error, "the system takes no advice on a mapped file");
    }
}

/// Drops the pages of `map`.
#[expect(unsafe_code, reason = "advice that would destroy what private mappings hold")]
fn release(map: &Mmap) {
    // SAFETY: the mapping is of a file, read-only and shared: it holds nothing of its own, and a page
    // that was dropped is read from the file again, which does not change (`local::files::map`).
    let advised = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) };
    if let Err(error) = advised {
        tracing::warn!(%error, "pages of a mapped file stay in memory");
    }
}

#[cfg(test)]
mod tests {
    use crate::{LocalStore, ObjectStore as _};

    #[tokio::test]
    async fn released_pages_read_as_before_and_mappings_end_with_their_readers() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).unwrap();
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        for name in ["a", "b"] {
            store.put(name, bytes.clone().into()).await.unwrap();
        }
        let (a, b) = (store.map("a").await.unwrap(), store.map("b").await.unwrap());
        assert_eq!(store.maps().mapped_bytes(), 6_000_000);
        let part = b.slice(10..20);
        let mut asked = 0;
        let first = || {
            asked += 1;
            asked == 1
        };
        assert_eq!(store.maps().release_while(first), 1);
        assert_eq!(store.maps().release_while(|| true), 2);
        store.maps().set_sparing(true);
        assert!(a == bytes && b == bytes);
        drop((a, b));
        assert_eq!(store.maps().mapped_bytes(), 3_000_000);
        assert_eq!(part, bytes[10..20]);
        drop(part);
        assert_eq!((store.maps().mapped_bytes(), store.maps().release_while(|| true)), (0, 0));
    }
}
