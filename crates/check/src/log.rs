//! The log in local files: every record of every channel reads back, in order, and says something.
//!
//! Each channel is read through a view (`view`), because opening one settles where it ends. A write
//! that a crash cut short is no damage: nobody was promised it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use milvus_format::LogRecord;
use milvus_types::{Timestamp, VChannel};
use milvus_wal::{LocalWal, LocalWalOptions, OpenError, ReadError, Record, Wal as _, WalDamaged};

use crate::catalogue::Contents;
use crate::check::Run;
use crate::error::CheckError;
use crate::file::chain;
use crate::finding::{Finding, Severity};
use crate::options::PlantedBug;
use crate::outcome::Outcome;
use crate::view;

/// A term above all others: a view has no other owners, and nothing is ever written with it.
const TERM: u64 = u64::MAX;
const ADVICE: &str = "the shards of this channel are not opened. Restore the whole data directory, \
    log and catalogue together, from one backup; what was flushed before is in segments, untouched";

/// Where the channels end, as far as they could be read.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    ends: HashMap<String, u64>,
    /// Channels of which the end is not known.
    unknown: bool,
}

impl Spans {
    /// Where `channel` ends: at 0 if it has no records, nowhere known if it could not be read.
    pub(crate) fn end_of(&self, channel: &str) -> Option<u64> {
        let end = self.ends.get(channel).copied();
        if self.unknown { end } else { end.or(Some(0)) }
    }
}

/// Reads every channel of the target's log.
pub(crate) async fn check(
    run: &Run<'_>,
    contents: Option<&Contents>,
    outcome: &mut Outcome,
) -> Result<Spans, CheckError> {
    let mut spans = Spans::default();
    let Some(dir) = run.target.log.clone().filter(|_| !is_skipped(run)) else {
        spans.unknown = true;
        return Ok(spans);
    };
    for Listed { name, path, is_dir } in list(&dir).await? {
        if name == "LOCK" {
            continue;
        }
        if name.starts_with('~') || !is_dir {
            let what = "it is no channel of the log";
            outcome.push(Finding::new(Severity::Orphan, shown(&dir, &path), what));
            continue;
        }
        run.progress.begin(&shown(&dir, &path));
        let channel = ChannelCheck { dir: dir.clone(), path, mark: contents.and_then(|c| c.tso) };
        match channel.run(outcome).await? {
            Some((channel, end)) => drop(spans.ends.insert(channel, end)),
            None => spans.unknown = true,
        }
    }
    if let Some(contents) = contents {
        name_shards(contents, outcome);
    }
    Ok(spans)
}

fn is_skipped(run: &Run<'_>) -> bool {
    run.options.planted_bug == PlantedBug::SkipLog
}

/// An entry of a directory.
struct Listed {
    name: String,
    path: PathBuf,
    is_dir: bool,
}

/// The entries of `dir` by name.
async fn list(dir: &Path) -> Result<Vec<Listed>, CheckError> {
    let dir = dir.to_owned();
    milvus_base::io::try_run(move || {
        let failed = |error| CheckError::io("list", &dir, error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_dir = entry.file_type().map_err(failed)?.is_dir();
            found.push(Listed { name, path: entry.path(), is_dir });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    })
    .await
}

/// A path within the log as findings call it: `log/{channel}/{file}`.
fn shown(dir: &Path, path: &Path) -> String {
    let parent = dir.parent().unwrap_or(dir);
    path.strip_prefix(parent).unwrap_or(path).display().to_string()
}

/// Adds to findings about a channel which shards are on it.
fn name_shards(contents: &Contents, outcome: &mut Outcome) {
    for finding in &mut outcome.findings {
        let [channel] = finding.concerns.vchannels.as_slice() else {
            continue;
        };
        let shards = contents.collections.values().flat_map(|collection| &collection.vchannels);
        let on_it: Vec<String> = shards
            .filter(|vchannel| vchannel.pchannel() == channel)
            .map(ToString::to_string)
            .collect();
        if !on_it.is_empty() {
            finding.concerns.vchannels = on_it;
        }
    }
}

/// One channel being read.
struct ChannelCheck {
    dir: PathBuf,
    path: PathBuf,
    /// No record may be of a later time.
    mark: Option<Timestamp>,
}

impl ChannelCheck {
    /// The channel's name and end, if it could be read to its end.
    async fn run(self, outcome: &mut Outcome) -> Result<Option<(String, u64)>, CheckError> {
        let mut files = Vec::new();
        for Listed { name, path, .. } in list(&self.path).await? {
            if name.ends_with(".log") {
                files.push(path);
            } else {
                let what = "it is no file of a channel";
                outcome.push(Finding::new(Severity::Orphan, shown(&self.dir, &path), what));
            }
        }
        let copying = self.path.clone();
        let view = milvus_base::io::run(move || view::channel(&copying, &files)).await?;
        let view = view.map_err(|error| CheckError::io("copy the end of", &self.path, error))?;
        match self.read(&view, outcome).await {
            Ok(found) => {
                self.note_cut(&view, outcome).await?;
                Ok(found)
            }
            Err(failure) => {
                outcome.push(self.finding(&view, failure));
                Ok(None)
            }
        }
    }

    async fn read(
        &self,
        view: &view::ChannelView,
        outcome: &mut Outcome,
    ) -> Result<Option<(String, u64)>, Failure> {
        let wal = LocalWal::open(view.scratch.path(), LocalWalOptions::default()).await?;
        let Some(name) = wal.channels().await?.into_iter().next() else {
            let what = "it is no channel of the log";
            outcome.push(Finding::new(Severity::Orphan, shown(&self.dir, &self.path), what));
            return Ok(None);
        };
        outcome.counts.channels += 1;
        let channel = wal.open(&name, TERM).await?;
        let reader = channel.read(channel.trim_point());
        let mut records = Records { mark: self.mark, ..Records::default() };
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
        outcome.counts.records += records.count;
        let object = shown(&self.dir, &self.path);
        outcome.findings.extend(records.problems.into_iter().map(|(position, what)| {
            let what = format!("the record at position {position} {what}");
            self.concern(Finding::damage(&object, what))
        }));
        let end = channel.end().0;
        channel.close().await;
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(Some((name, end))),
        }
    }

    /// Says where the end of a file is a write that was cut short, which opening the view cut off.
    async fn note_cut(
        &self,
        view: &view::ChannelView,
        outcome: &mut Outcome,
    ) -> Result<(), CheckError> {
        let copies = view.copies.clone();
        let cut = milvus_base::io::try_run(move || {
            copies.into_iter().map(view::Copied::lengths).collect::<Result<Vec<_>, _>>()
        });
        for (file, before, after) in cut.await? {
            if after < before {
                let what = format!(
                    "its last {} bytes are of a write that was cut short; a start cuts them off",
                    before - after
                );
                let finding = Finding::note(shown(&self.dir, &file), what).at(Some(after));
                outcome.push(self.concern(finding));
            }
        }
        Ok(())
    }

    fn finding(&self, view: &view::ChannelView, failure: Failure) -> Finding {
        let object = shown(&self.dir, &self.path);
        let finding = match failure {
            Failure::Damaged(WalDamaged { file, offset, what }) => {
                let inside = file.strip_prefix(view.scratch.path()).unwrap_or(&file);
                let file = shown(&self.dir, &self.dir.join(inside));
                Finding::damage(file, what).at(Some(offset)).advise(ADVICE)
            }
            Failure::Unreadable(what) => Finding::new(Severity::Unreadable, object, what),
        };
        self.concern(finding)
    }

    /// The channel stands for its shards until they are looked up.
    fn concern(&self, mut finding: Finding) -> Finding {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        finding.concerns.vchannels = vec![name];
        finding
    }
}

/// Why a channel was not read to its end.
enum Failure {
    Damaged(WalDamaged),
    Unreadable(String),
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Damaged(damaged) => Self::Damaged(damaged),
            OpenError::InUse { .. }
            | OpenError::StaleTerm { .. }
            | OpenError::AlreadyOpen { .. }
            | OpenError::InvalidName { .. }
            | OpenError::NewerFormat { .. }
            | OpenError::Io(_)
            | OpenError::Panicked(_) => Self::Unreadable(chain(&error)),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(damaged) => Self::Damaged(damaged),
            ReadError::Trimmed { .. }
            | ReadError::BeyondEnd { .. }
            | ReadError::Io(_)
            | ReadError::Panicked(_) => Self::Unreadable(chain(&error)),
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
