//! The records of one open channel, one by one.

use std::collections::HashMap;

use milvus_format::LogRecord;
use milvus_types::{Timestamp, VChannel};
use milvus_wal::{OpenError, Position, ReadError, Record, Wal, WalDamaged};

use crate::file::chain;
use crate::finding::Finding;
use crate::outcome::Outcome;

/// So many records of a channel that are wrong are named, the others counted.
const NAMED: usize = 16;
const ADVICE: &str = "the catalogue and the log are not of one time, or a server wrote what it should not: \
    restore the whole data directory, log and catalogue together, from one backup";

/// A term above all that are handed out. What is opened with it is a view of the log, so that nothing is
/// ever written with it to the log itself.
const TERM: u64 = 1 << 62;

/// Reads every record of `channel`, says of each that is wrong what `concern` adds to it, and gives
/// the channel's end. No record may be of a later time than `mark`.
pub(super) async fn read(
    wal: &dyn Wal,
    channel: &str,
    mark: Option<Timestamp>,
    outcome: &mut Outcome,
    concern: impl Fn(String) -> Finding,
) -> Result<Position, Failure> {
    let channel = wal.open(channel, TERM).await?;
    let reader = channel.read(channel.trim_point());
    let mut records = Records { mark, ..Records::default() };
    let read = milvus_base::io::run(move || {
        let mut failure = None;
        for record in reader {
            match record {
                Ok(record) => records.add(&record),
                Err(error) => failure = Some(error),
            }
        }
        (records, failure)
    });
    let (records, failure) = read.await.map_err(ReadError::from)?;
    let end = channel.end();
    outcome.counts.channels += u64::from(end > Position::START);
    outcome.counts.records += records.count;
    let problems = records.problems();
    outcome.findings.extend(problems.into_iter().map(|what| concern(what).advise(ADVICE)));
    channel.close().await;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(end),
    }
}

/// Why a channel was not read to its end.
pub(super) enum Failure {
    Damaged(WalDamaged),
    Unreadable(String),
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only damage is damage")]
        match error {
            OpenError::Damaged(damaged) => Self::Damaged(damaged),
            error => Self::Unreadable(chain(&error)),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only damage is damage")]
        match error {
            ReadError::Damaged(damaged) => Self::Damaged(damaged),
            error => Self::Unreadable(chain(&error)),
        }
    }
}

/// The records of a channel as they go by.
#[derive(Default)]
struct Records {
    count: u64,
    mark: Option<Timestamp>,
    latest: HashMap<VChannel, Timestamp>,
    /// The first record that is later than the mark, and how many are.
    late: Option<(u64, Timestamp)>,
    late_count: u64,
    /// What is wrong with others, as far as they are named, and how many are not.
    problems: Vec<String>,
    unnamed: u64,
}

impl Records {
    fn add(&mut self, record: &Record) {
        self.count += 1;
        let position = record.position.0;
        let LogRecord { vchannel, timestamp, .. } = match LogRecord::decode(&record.payload) {
            Ok(record) => record,
            Err(error) => return self.problem(position, format!("is wrong: {error}")),
        };
        if self.mark.is_some_and(|mark| timestamp > mark) {
            self.late.get_or_insert((position, timestamp));
            self.late_count += 1;
        }
        let before = self.latest.get(&vchannel).copied();
        if let Some(before) = before.filter(|before| timestamp < *before) {
            self.problem(
                position,
                format!("of {vchannel} is of {timestamp}, one before it of {before}"),
            );
        }
        self.latest.insert(vchannel, timestamp);
    }

    fn problem(&mut self, position: u64, what: String) {
        if self.problems.len() < NAMED {
            self.problems.push(format!("the record at position {position} {what}"));
        } else {
            self.unnamed += 1;
        }
    }

    /// Everything that is wrong.
    fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        if let (Some((position, first)), Some(mark)) = (self.late, self.mark) {
            let count = self.late_count;
            problems.push(format!(
                "{count} records, the first of {first} at position {position}, are of times after \
                 {mark}, which were never handed out"
            ));
        }
        if self.unnamed > 0 {
            problems.push(format!("{} more records are wrong", self.unnamed));
        }
        problems
    }
}
