//! What is stored. Every write of a key is decided under one lock, together with its condition.
//!
//! In a directory:
//!
//! ```text
//! {directory}/bodies/{unique name}       the bytes of an object, never changed
//! {directory}/names/{unique name}        one line of JSON: bucket, key, body, entity tag, metadata
//! {directory}/buckets/{bucket}           empty
//! ```
//!
//! The name that was written last counts; both it and the body are there before the write is answered.
//! A directory survives the process, not the machine: nothing is synced.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{fs, io};

use bytes::Bytes;
use md5::{Digest as _, Md5};
use milvus_base::{clock, random};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// An object, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its entity tag, without quotes: the MD5 of its bytes, or S3's form for parts.
    pub etag: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it was put, in milliseconds since the epoch.
    pub modified_ms: u64,
    /// What the writer said of it.
    pub metadata: HashMap<String, String>,
    /// Counts the writes of the store.
    sequence: u64,
    /// The unique name of its bytes.
    body: String,
}

/// What must hold for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// Nothing is there (`If-None-Match: *`).
    Absent,
    /// What is there has this entity tag (`If-Match`).
    Match(String),
}

/// Why an object was not stored.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// No such bucket.
    #[error("no such bucket")]
    NoBucket,
    /// Nothing is there to match.
    #[error("no such key")]
    NoKey,
    /// The condition does not hold.
    #[error("the condition does not hold")]
    Condition,
    /// The directory failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The buckets and objects of a server.
#[derive(Debug)]
pub struct Objects {
    directory: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sequence: u64,
    buckets: BTreeMap<String, BTreeMap<String, Stored>>,
    /// The bytes of objects in memory, by their unique names.
    bodies: HashMap<String, Bytes>,
}

impl Objects {
    /// Objects that are forgotten with the value.
    pub fn in_memory() -> Self {
        Self { directory: None, state: Mutex::default() }
    }

    /// The objects of a directory, which is made if it is missing. Blocks.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        let mut state = State::default();
        for part in ["bodies", "names", "buckets"] {
            fs::create_dir_all(directory.join(part))?;
        }
        for bucket in fs::read_dir(directory.join("buckets"))? {
            let name = bucket?.file_name().to_string_lossy().into_owned();
            state.buckets.insert(name, BTreeMap::new());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(directory.join("names"))? {
            let stored: Stored = serde_json::from_slice(&fs::read(entry?.path())?)?;
            names.push(stored);
        }
        names.sort_by_key(|stored| stored.sequence);
        for stored in names {
            state.sequence = stored.sequence;
            let bucket = state.buckets.entry(stored.bucket.clone()).or_default();
            bucket.insert(stored.key.clone(), stored);
        }
        Ok(Self { directory: Some(directory), state: Mutex::new(state) })
    }

    /// Makes `bucket`; false if it was there.
    pub fn make_bucket(&self, bucket: &str) -> io::Result<bool> {
        if let Some(directory) = &self.directory {
            fs::write(directory.join("buckets").join(bucket), b"")?;
        }
        let mut state = self.state.lock();
        let made = !state.buckets.contains_key(bucket);
        state.buckets.entry(bucket.to_owned()).or_default();
        Ok(made)
    }

    /// The buckets, in order.
    pub fn buckets(&self) -> Vec<String> {
        self.state.lock().buckets.keys().cloned().collect()
    }

    /// Whether `bucket` is there.
    pub fn has_bucket(&self, bucket: &str) -> bool {
        self.state.lock().buckets.contains_key(bucket)
    }

    /// Stores `bytes` if `condition` holds. Blocks if there is a directory.
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        bytes: Bytes,
        metadata: HashMap<String, String>,
        condition: &Condition,
    ) -> Result<Stored, NotStored> {
        let etag = md5_hex(&bytes);
        self.put_tagged(bucket, key, bytes, etag, metadata, condition)
    }

    /// Like [`Objects::put`], of an object that consists of parts with these entity tags.
    pub fn put_parts(
        &self,
        bucket: &str,
        key: &str,
        parts: &[(String, Bytes)],
        metadata: HashMap<String, String>,
        condition: &Condition,
    ) -> Result<Stored, NotStored> {
        let digests: Vec<u8> = parts.iter().flat_map(|(_, bytes)| Md5::digest(bytes)).collect();
        let etag = format!("{}-{}", md5_hex(&digests), parts.len());
        let bytes = parts.iter().map(|(_, bytes)| &**bytes).collect::<Vec<_>>().concat();
        self.put_tagged(bucket, key, bytes.into(), etag, metadata, condition)
    }

    fn put_tagged(
        &self,
        bucket: &str,
        key: &str,
        bytes: Bytes,
        etag: String,
        metadata: HashMap<String, String>,
        condition: &Condition,
    ) -> Result<Stored, NotStored> {
        let body = random::unique_name();
        if let Some(directory) = &self.directory {
            fs::write(directory.join("bodies").join(&body), &bytes)?;
        }
        let mut stored = Stored {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            etag,
            size: bytes.len() as u64,
            modified_ms: clock::now_ms(),
            metadata,
            sequence: 0,
            body,
        };
        let decided = self.decide(&mut stored, bytes, condition);
        if let (Err(_), Some(directory)) = (&decided, &self.directory) {
            fs::remove_file(directory.join("bodies").join(&stored.body))?;
        }
        decided.map(|()| stored)
    }

    /// Makes `stored` what is there, if `condition` holds: the one place where writes meet.
    fn decide(
        &self,
        stored: &mut Stored,
        bytes: Bytes,
        condition: &Condition,
    ) -> Result<(), NotStored> {
        let mut state = self.state.lock();
        let sequence = state.sequence + 1;
        let objects = state.buckets.get_mut(&stored.bucket).ok_or(NotStored::NoBucket)?;
        let old = objects.get(&stored.key).cloned();
        check(old.as_ref(), condition)?;
        stored.sequence = sequence;
        self.write_name(stored)?;
        objects.insert(stored.key.clone(), stored.clone());
        state.sequence = sequence;
        if self.directory.is_none() {
            state.bodies.insert(stored.body.clone(), bytes);
        }
        if let Some(old) = old {
            self.forget(&mut state, &old)?;
        }
        Ok(())
    }

    fn write_name(&self, stored: &Stored) -> io::Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let unfinished = directory.join(format!(".{}", stored.body));
        fs::write(&unfinished, serde_json::to_vec(stored)?)?;
        fs::rename(unfinished, directory.join("names").join(&stored.body))
    }

    /// Removes what is left of an object that is no longer there. Readers hold its bytes already.
    fn forget(&self, state: &mut State, old: &Stored) -> io::Result<()> {
        state.bodies.remove(&old.body);
        if let Some(directory) = &self.directory {
            fs::remove_file(directory.join("names").join(&old.body))?;
            fs::remove_file(directory.join("bodies").join(&old.body))?;
        }
        Ok(())
    }

    /// The object at `key`; none if there is none.
    pub fn find(&self, bucket: &str, key: &str) -> Result<Option<Stored>, NotStored> {
        let state = self.state.lock();
        let objects = state.buckets.get(bucket).ok_or(NotStored::NoBucket)?;
        Ok(objects.get(key).cloned())
    }

    /// The object at `key` and its bytes.
    pub fn read(&self, bucket: &str, key: &str) -> Result<Option<(Stored, Bytes)>, NotStored> {
        let state = self.state.lock();
        let objects = state.buckets.get(bucket).ok_or(NotStored::NoBucket)?;
        let Some(stored) = objects.get(key).cloned() else {
            return Ok(None);
        };
        let bytes = match &self.directory {
            Some(directory) => read_body(directory, &stored)?,
            None => state.bodies.get(&stored.body).cloned().unwrap_or_default(),
        };
        Ok(Some((stored, bytes)))
    }

    /// Removes the object at `key`, if there is one.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<(), NotStored> {
        let mut state = self.state.lock();
        let objects = state.buckets.get_mut(bucket).ok_or(NotStored::NoBucket)?;
        if let Some(old) = objects.remove(key) {
            self.forget(&mut state, &old)?;
        }
        Ok(())
    }

    /// The objects whose key begins with `prefix` and comes after `after`, in order; at most `limit`.
    pub fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Stored>, NotStored> {
        let state = self.state.lock();
        let objects = state.buckets.get(bucket).ok_or(NotStored::NoBucket)?;
        let from = if after > prefix { after } else { prefix };
        let found = objects.range(from.to_owned()..).map(|(_, stored)| stored);
        let found = found.take_while(|stored| stored.key.starts_with(prefix));
        Ok(found.filter(|stored| *stored.key > *after).take(limit).cloned().collect())
    }
}

fn check(old: Option<&Stored>, condition: &Condition) -> Result<(), NotStored> {
    match (condition, old) {
        (Condition::Absent, Some(_)) => Err(NotStored::Condition),
        (Condition::Match(_), None) => Err(NotStored::NoKey),
        (Condition::Match(want), Some(old)) if old.etag != *want => Err(NotStored::Condition),
        (Condition::None | Condition::Absent | Condition::Match(_), _) => Ok(()),
    }
}

fn read_body(directory: &Path, stored: &Stored) -> io::Result<Bytes> {
    fs::read(directory.join("bodies").join(&stored.body)).map(Bytes::from)
}

pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(objects: &Objects, bytes: &'static [u8], condition: &Condition) -> Option<String> {
        let bytes = Bytes::from_static(bytes);
        objects.put("b", "k", bytes, HashMap::new(), condition).ok().map(|stored| stored.etag)
    }

    #[test]
    fn tags_are_those_of_s3() {
        let objects = Objects::in_memory();
        objects.make_bucket("b").unwrap();
        let etag = put(&objects, b"hello", &Condition::None).unwrap();
        assert_eq!(etag, "5d41402abc4b2a76b9719d911017c592");
        let part = (etag, Bytes::from_static(b"hello"));
        let stored = objects.put_parts("b", "p", &[part], HashMap::new(), &Condition::None);
        assert_eq!(stored.unwrap().etag, format!("{}-1", md5_hex(&Md5::digest(b"hello"))));
    }

    #[test]
    fn a_directory_is_found_as_it_was_left() {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::open(directory.path()).unwrap();
        assert!(put(&objects, b"1", &Condition::None).is_none(), "no bucket yet");
        assert!(objects.make_bucket("b").unwrap());
        let first = put(&objects, b"1", &Condition::Absent).unwrap();
        assert!(put(&objects, b"2", &Condition::Absent).is_none());
        put(&objects, b"3", &Condition::Match(first.clone())).unwrap();
        assert!(put(&objects, b"4", &Condition::Match(first)).is_none());
        objects.put("b", "gone", Bytes::new(), HashMap::new(), &Condition::None).unwrap();
        objects.delete("b", "gone").unwrap();

        let objects = Objects::open(directory.path()).unwrap();
        let (stored, bytes) = objects.read("b", "k").unwrap().unwrap();
        assert_eq!((&*bytes, stored.size), (&b"3"[..], 1));
        assert_eq!(objects.list("b", "", "", 9).unwrap(), [stored]);
        assert_eq!(fs::read_dir(directory.path().join("bodies")).unwrap().count(), 1);
    }
}
