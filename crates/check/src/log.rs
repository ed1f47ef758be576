//! The log: every record of every channel reads back, in order, and says something.

mod files;
mod records;

use std::collections::HashMap;
use std::sync::Arc;

use milvus_types::Timestamp;
use milvus_wal::{Wal, WalDamaged};

use crate::catalogue::Contents;
use crate::check::Run;
use crate::error::CheckError;
use crate::file::chain;
use crate::finding::{Finding, Severity};
use crate::options::PlantedBug;
use crate::outcome::Outcome;
use crate::target::LogSource;
use records::Failure;

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
    /// Notes a channel's name and end; none of one that could not be read.
    fn add(&mut self, found: Option<(String, u64)>) {
        match found {
            Some((channel, end)) => drop(self.ends.insert(channel, end)),
            None => self.unknown = true,
        }
    }

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
    let mark = contents.and_then(|contents| contents.tso);
    let skipped = run.options.planted_bug == PlantedBug::SkipLog;
    match &run.target.log {
        LogSource::Files(dir) if !skipped => {
            files::check(run, dir, mark, &mut spans, outcome).await?;
        }
        LogSource::View(wal) if !skipped => {
            check_view(run, wal, mark, &mut spans, outcome).await;
        }
        LogSource::None | LogSource::Files(_) | LogSource::View(_) => spans.unknown = true,
    }
    if let Some(contents) = contents {
        name_shards(contents, outcome);
    }
    Ok(spans)
}

/// Reads every channel of `wal`, which was made for that.
async fn check_view(
    run: &Run<'_>,
    wal: &Arc<dyn Wal>,
    mark: Option<Timestamp>,
    spans: &mut Spans,
    outcome: &mut Outcome,
) {
    let channels = match wal.channels().await {
        Ok(channels) => channels,
        Err(error) => {
            spans.unknown = true;
            return outcome.push(Finding::new(Severity::Unreadable, "log", chain(&error)));
        }
    };
    for name in channels {
        let object = format!("log channel {name}");
        run.progress.begin(&object);
        let concern = |mut finding: Finding| {
            finding.concerns.vchannels = vec![name.clone()];
            finding
        };
        let damage = |what| concern(Finding::damage(&object, what));
        match records::read(&**wal, &name, mark, outcome, damage).await {
            Ok(end) => spans.add(Some((name, end))),
            Err(failure) => {
                spans.add(None);
                outcome.push(concern(match failure {
                    Failure::Damaged(WalDamaged { file, offset, what }) => {
                        let object = file.display().to_string();
                        Finding::damage(object, what).at(Some(offset)).advise(ADVICE)
                    }
                    Failure::Unreadable(what) => Finding::new(Severity::Unreadable, object, what),
                }));
            }
        }
    }
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
