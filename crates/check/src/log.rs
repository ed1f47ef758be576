//! The log: every record of every channel reads back, in order, and says something.

mod files;
mod records;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use milvus_types::Timestamp;
use milvus_wal::{Position, Wal, WalDamaged};

use crate::catalogue::Contents;
use crate::check::Run;
use crate::error::CheckError;
use crate::file::chain;
use crate::finding::{Finding, Severity};
use crate::options::PlantedBug;
use crate::outcome::Outcome;
use crate::overlay::Overlay;
use crate::target::LogSource;
use records::Failure;

const ADVICE: &str = "the shards of this channel are not opened. Restore the whole data directory, \
    log and catalogue together, from one backup; what was flushed before is in segments, untouched";

const IN_USE: &str = "a server is at work: stop it, then check again";

/// Where the channels end, as far as they could be read.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    ends: HashMap<String, End>,
    /// Of channels not named above nothing is known; else they have no records.
    unknown: bool,
    /// There is no log at all, not even an empty one.
    pub(crate) is_gone: bool,
    /// Channels that shards are on and that are not there, where a server makes them when it opens a shard
    /// and not with the first record.
    pub(crate) unmade: BTreeSet<String>,
}

/// Where a channel ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It has no records, and never had any as far as it says.
    Nothing,
    At(u64),
    /// It could not be read.
    Unknown,
}

impl Spans {
    fn add(&mut self, channel: impl Into<String>, end: End) {
        self.ends.insert(channel.into(), end);
    }

    /// Where `channel` ends.
    pub(crate) fn end_of(&self, channel: &str) -> End {
        let unlisted = if self.unknown { End::Unknown } else { End::Nothing };
        self.ends.get(channel).copied().unwrap_or(unlisted)
    }
}

impl From<Position> for End {
    fn from(Position(end): Position) -> Self {
        if end == 0 { Self::Nothing } else { Self::At(end) }
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
            let view = View { wal, over: None, mark };
            view.check(run, contents, &mut spans, outcome).await;
        }
        LogSource::Over(overlay, wal) if !skipped => {
            let view = View { wal, over: Some(overlay), mark };
            view.check(run, contents, &mut spans, outcome).await;
        }
        LogSource::Gone if !skipped => spans.is_gone = true,
        LogSource::None
        | LogSource::Gone
        | LogSource::Files(_)
        | LogSource::View(_)
        | LogSource::Over(..) => spans.unknown = true,
    }
    if let Some(contents) = contents {
        name_shards(contents, outcome);
    }
    Ok(spans)
}

/// A log that was opened to be checked.
struct View<'a> {
    wal: &'a Arc<dyn Wal>,
    /// The overlay that it writes to.
    over: Option<&'a Overlay>,
    /// No record may be of a later time.
    mark: Option<Timestamp>,
}

impl View<'_> {
    /// Reads every channel that is there, and looks for those that should be.
    async fn check(
        &self,
        run: &Run<'_>,
        contents: Option<&Contents>,
        spans: &mut Spans,
        outcome: &mut Outcome,
    ) {
        let listed = match self.wal.channels().await {
            Ok(channels) => channels,
            Err(error) => {
                spans.unknown = true;
                return outcome.push(Finding::new(Severity::Unreadable, "log", chain(&error)));
            }
        };
        // One that lost what makes it a channel is found by opening it.
        let shards = contents.into_iter().flat_map(Contents::vchannels);
        let wanted = shards.map(|vchannel| vchannel.pchannel().to_owned());
        let listed: BTreeSet<String> = listed.into_iter().collect();
        let names: BTreeSet<String> = wanted.chain(listed.iter().cloned()).collect();
        if self.over.is_some() {
            spans.unmade = names.difference(&listed).cloned().collect();
        }
        for name in names {
            run.progress.begin(&object_of(&name));
            let end = self.check_channel(&name, outcome).await;
            spans.add(name, end);
        }
    }

    async fn check_channel(&self, name: &str, outcome: &mut Outcome) -> End {
        let object = object_of(name);
        let concern = |mut finding: Finding| {
            finding.concerns.vchannels = vec![name.to_owned()];
            finding
        };
        let damage = |what| concern(Finding::damage(&object, what));
        let failure = match records::read(&**self.wal, name, self.mark, outcome, damage).await {
            Ok(end) => return end.into(),
            Err(failure) => failure,
        };
        outcome.push(concern(match failure {
            Failure::Damaged(WalDamaged { what, .. }) if self.is_overtaken().await => {
                let what = format!("it was written to while it was read; found then: {what}");
                Finding::new(Severity::Unreadable, object, what).advise(IN_USE)
            }
            Failure::Damaged(WalDamaged { file, offset, what }) => {
                let object = file.display().to_string();
                Finding::damage(object, what).at(Some(offset)).advise(ADVICE)
            }
            Failure::Unreadable(what) => Finding::new(Severity::Unreadable, object, what),
        }));
        End::Unknown
    }

    /// Whether what the view has put over something is over something else by now.
    async fn is_overtaken(&self) -> bool {
        match self.over {
            Some(overlay) => overlay.is_overtaken().await,
            None => false,
        }
    }
}

/// What a channel is called in findings.
pub(crate) fn object_of(channel: &str) -> String {
    format!("log channel {channel}")
}

/// Adds to findings about a channel which shards are on it.
fn name_shards(contents: &Contents, outcome: &mut Outcome) {
    for finding in &mut outcome.findings {
        let [channel] = finding.concerns.vchannels.as_slice() else {
            continue;
        };
        let on_it: Vec<String> = contents
            .vchannels()
            .filter(|vchannel| vchannel.pchannel() == channel)
            .map(ToString::to_string)
            .collect();
        if !on_it.is_empty() {
            finding.concerns.vchannels = on_it;
        }
    }
}
