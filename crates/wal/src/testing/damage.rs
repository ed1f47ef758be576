//! What damage does to a log: every file of one cut, flipped, moved, swapped or lost in turn.
//!
//! Whatever is done to the bytes, what is found is a prefix of what was written, exactly as it was
//! written; and if it is less, an error says so and names the file. Only one thing may go unsaid: a log
//! in files cannot tell records cut off its end from a write that was cut short ([`TornEnd`]), and no
//! log knows of a last file that is gone as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{OpenError, ReadError};
use crate::log::{Record, Wal};

const CHANNEL: &str = "damage";

/// Files, or objects, by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What a backend makes of a last file that ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TornEnd {
    /// It may be a write that was cut short: what is whole is kept, the rest is cut off.
    CutOff,
    /// It was put whole, so it is damaged.
    Reported,
}

/// What a log is kept in, as the suite damages it.
#[async_trait]
pub trait Storage: Send + Sync {
    /// The log over what is stored, as a new process opens it.
    async fn open(&self) -> Arc<dyn Wal>;

    /// All that is stored.
    async fn load(&self) -> Files;

    /// Stores `files` and nothing else.
    async fn store(&self, files: &Files);

    /// The name among `files` of the one in which the log ends.
    fn last<'a>(&self, files: &'a Files) -> &'a str;

    /// What becomes of a last file that ends too early.
    fn torn_end(&self) -> TornEnd;
}

/// What a new process finds: the records before the first error, and the error.
struct Found {
    records: Vec<Record>,
    error: Option<String>,
}

/// The log that is damaged, whole.
struct Whole<'a> {
    storage: &'a dyn Storage,
    files: Files,
    written: Vec<Record>,
    noticed: usize,
}

/// Runs every check over `storage`, which is empty. Damages one byte, or bit, in `stride`.
pub async fn damage(storage: &dyn Storage, stride: usize) {
    let mut whole = make(storage).await;
    whole.cut_anywhere_the_log_is_a_prefix(stride).await;
    whole.no_flipped_bit_goes_unnoticed(stride).await;
    whole.no_block_is_taken_for_another(stride).await;
    whole.no_file_is_taken_for_another().await;
    assert!(whole.noticed > 100 / stride.min(10), "damage was noticed {} times", whole.noticed);
}

/// A log of nine records, written by three processes in turn.
async fn make(storage: &dyn Storage) -> Whole<'_> {
    let mut written = Vec::new();
    for term in 1..4 {
        let wal = storage.open().await;
        let channel = wal.open(CHANNEL, term).await.expect("channel opens");
        for i in 0..3 {
            let payload = Bytes::from(format!("record {i} of term {term} ").repeat(i));
            let place = channel.append(vec![payload.clone()]).await.expect("append succeeds");
            written.push(Record { position: place.position, next: place.next, payload });
        }
        channel.close().await;
    }
    let files = storage.load().await;
    let whole = Whole { storage, files, written, noticed: 0 };
    let found = whole.find(&whole.files).await;
    assert_eq!((found.records, found.error), (whole.written.clone(), None));
    whole
}

impl Whole<'_> {
    /// What a process that starts on `files` finds.
    async fn find(&self, files: &Files) -> Found {
        self.storage.store(files).await;
        let wal = self.storage.open().await;
        let channel = match wal.open(CHANNEL, 1_000).await {
            Ok(channel) => channel,
            Err(error) => {
                let damage = matches!(error, OpenError::Damaged(_) | OpenError::NewerFormat { .. });
                assert!(damage, "{error}");
                return Found { records: Vec::new(), error: Some(error.to_string()) };
            }
        };
        let reader = channel.read(channel.trim_point());
        let read = milvus_base::io::run(move || {
            let mut records = Vec::new();
            for record in reader {
                match record {
                    Ok(record) => records.push(record),
                    Err(error) => return (records, Some(error)),
                }
            }
            (records, None)
        });
        let (records, error) = read.await.expect("reader does not panic");
        let damage = error.as_ref().is_none_or(|error| matches!(error, ReadError::Damaged(_)));
        assert!(damage, "{error:?}");
        channel.close().await;
        Found { records, error: error.map(|error| error.to_string()) }
    }

    /// Opens the log as `files` and judges what is found after `what` was done to it.
    async fn check(&mut self, files: &Files, what: &str, may_lose_silently: bool) {
        let found = self.find(files).await;
        let prefix = self.written.get(..found.records.len());
        assert_eq!(Some(&*found.records), prefix, "{what}");
        match found.error {
            Some(error) => {
                let named = self.files.keys().any(|name| {
                    let name = name.rsplit('/').next().unwrap_or(name);
                    error.contains(name)
                });
                assert!(named, "{what}: {error} names no file");
                self.noticed += 1;
            }
            None => {
                let whole = found.records.len() == self.written.len();
                assert!(whole || may_lose_silently, "{what}: records were lost without a word");
            }
        }
    }

    /// The names of the files, and whether the log ends in each.
    fn names(&self) -> Vec<(String, bool)> {
        let last = self.storage.last(&self.files);
        self.files.keys().map(|name| (name.clone(), name == last)).collect()
    }

    /// Whether a change of a file may lose records without a word.
    fn may_lose(&self, is_last: bool) -> bool {
        is_last && self.storage.torn_end() == TornEnd::CutOff
    }

    /// Each file in turn, cut short at each byte.
    async fn cut_anywhere_the_log_is_a_prefix(&mut self, stride: usize) {
        for (name, is_last) in self.names() {
            let bytes = self.files[&name].len();
            for cut in (0..bytes).step_by(stride) {
                let mut files = self.files.clone();
                files.entry(name.clone()).and_modify(|bytes| bytes.truncate(cut));
                let what = format!("{name} cut at byte {cut}");
                self.check(&files, &what, self.may_lose(is_last)).await;
            }
        }
    }

    /// Each bit of each file in turn.
    async fn no_flipped_bit_goes_unnoticed(&mut self, stride: usize) {
        for (name, _) in self.names() {
            let bytes = self.files[&name].len();
            for bit in (0..bytes * 8).step_by(stride) {
                let mut files = self.files.clone();
                files.entry(name.clone()).and_modify(|bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                self.check(&files, &format!("bit {bit} of {name} flipped"), false).await;
            }
        }
    }

    /// Stretches of a file copied to, or exchanged with, other places of it.
    async fn no_block_is_taken_for_another(&mut self, stride: usize) {
        for (name, is_last) in self.names() {
            let whole = self.files[&name].clone();
            for block in [8, 64, 104].into_iter().filter(|block| 2 * block <= whole.len()) {
                for from in (0..=whole.len() - block).step_by(8 * stride.min(8)) {
                    let to = (from + whole.len() / 2) % (whole.len() - block + 1) / 8 * 8;
                    for swap in [false, from.abs_diff(to) >= block] {
                        let mut bytes = whole.clone();
                        bytes[to..to + block].copy_from_slice(&whole[from..from + block]);
                        if swap {
                            bytes[from..from + block].copy_from_slice(&whole[to..to + block]);
                        }
                        let mut files = self.files.clone();
                        files.insert(name.clone(), bytes);
                        let what = format!("{block} bytes of {name} moved from {from} to {to}");
                        self.check(&files, &what, self.may_lose(is_last)).await;
                    }
                }
            }
        }
    }

    /// Whole files lost, exchanged, or put in the place of others.
    async fn no_file_is_taken_for_another(&mut self) {
        let names = self.names();
        for (name, is_last) in &names {
            let mut files = self.files.clone();
            files.remove(name);
            self.check(&files, &format!("{name} lost"), *is_last).await;
        }
        for ((one, one_is_last), (other, other_is_last)) in pairs(&names) {
            let what = format!("{one} and {other} exchanged");
            let may_lose = self.may_lose(*one_is_last || *other_is_last);
            let mut files = self.files.clone();
            files.insert(one.clone(), self.files[other].clone());
            self.check(&files, &format!("{other} copied over {one}"), may_lose).await;
            files.insert(other.clone(), self.files[one].clone());
            self.check(&files, &what, may_lose).await;
        }
    }
}

fn pairs<T>(items: &[T]) -> impl Iterator<Item = (&T, &T)> {
    let after = |i: usize| items.get(i + 1..).unwrap_or_default();
    items.iter().enumerate().flat_map(move |(i, one)| after(i).iter().map(move |two| (one, two)))
}
