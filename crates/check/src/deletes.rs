//! A segment's delete files: each names rows that there are, as many as the manifest says.

use std::collections::HashSet;

use bytes::Bytes;
use milvus_format::DeleteFile;
use milvus_format::delete_file::read_deletes;

use crate::columns::undecoded;
use crate::segment::{Problem, Problems};

/// The rows that the files read so far delete.
#[derive(Clone, Debug)]
pub(crate) struct Deleted {
    /// Rows of the segment.
    rows: u64,
    deleted: HashSet<u32>,
}

impl Deleted {
    pub(crate) fn new(rows: u64) -> Self {
        Self { rows, deleted: HashSet::new() }
    }

    pub(crate) fn count(&self) -> u64 {
        self.deleted.len() as u64
    }

    /// Adds the delete file in `bytes`, and says what in it is not what `expect` says.
    pub(crate) fn add(&mut self, bytes: &Bytes, expect: &DeleteFile) -> Problems {
        let entries = match read_deletes(bytes) {
            Ok(entries) => entries,
            Err(error) => return vec![undecoded(&error)],
        };
        let mut problems = Vec::new();
        let got = entries.len() as u64;
        if got != expect.rows {
            let want = expect.rows;
            problems
                .push(Problem::damage(format!("it has {got} entries, its manifest says {want}")));
        }
        if let Some(entry) = entries.iter().find(|entry| u64::from(entry.row) >= self.rows) {
            let (row, rows) = (entry.row, self.rows);
            problems.push(Problem::damage(format!("it deletes row {row} of {rows} rows")));
        }
        let newest = entries.iter().map(|entry| entry.timestamp).max();
        if let Some(newest) = newest.filter(|newest| *newest > expect.max_ts) {
            let want = expect.max_ts;
            let what = format!("it has a delete of {newest}, its manifest says up to {want}");
            problems.push(Problem::damage(what));
        }
        self.deleted.extend(entries.iter().map(|entry| entry.row));
        problems
    }
}
