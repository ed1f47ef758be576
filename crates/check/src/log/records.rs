//! The records of one open channel, one by one.

use std::collections::HashMap;

use milvus_format::LogRecord;
use milvus_types::{Timestamp, VChannel};
use milvus_wal::{OpenError, Position, ReadError, Record, Wal, WalDamaged};

use crate::file::chain;
use crate::finding::Finding;
use crate::outcome::Outcome;

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
    outcome.findings.extend(
        records
            .problems
            .into_iter()
            .map(|(position, what)| concern(format!("the record at position {position} {what}"))),
    );
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
    /// The position of a record and what is wrong with it.
    problems: Vec<(u64, String)>,
}

impl Records {
    fn add(&mut self, record: &Record) {
        self.count += 1;
        let position = record.position.0;
        let LogRecord { vchannel, timestamp, .. } = match LogRecord::decode(&record.payload) {
            Ok(record) => record,
            Err(error) => return self.problems.push((position, format!("is wrong: {error}"))),
        };
        if let Some(mark) = self.mark.filter(|mark| timestamp > *mark) {
            let what = format!("is of {timestamp}, no time after {mark} was handed out");
            self.problems.push((position, what));
        }
        let before = self.latest.get(&vchannel).copied();
        if let Some(before) = before.filter(|before| timestamp < *before) {
            let what = format!("of {vchannel} is of {timestamp}, one before it of {before}");
            self.problems.push((position, what));
        }
        self.latest.insert(vchannel, timestamp);
    }
}
