//! Where manifests say that replay begins, and where the log ends: what lies between was acknowledged and
//! is in the log alone.
//!
//! ```text
//!        begin                    end             sound: replay begins at a checkpoint, before it or at it
//!   ......[ r ][ r ][ r ][ r ][ r ]
//!      ^       ^                  ^         ^
//!      |       checkpoints that are sound   |
//!      sound, too: other shards' records    lost: records before it were there
//! ```
//!
//! What can be proved:
//! - A checkpoint behind the end says that there were records up to it: those are flushed, but those behind
//!   it, if there were any, are lost, and nobody can tell.
//! - A cut behind the end says the same: the log had reached it.
//! - A channel without records that was cut, or where one shard has a checkpoint, was lost as a whole; so shards on it that
//!   have no checkpoint have lost what was written to them.
//! - A log that is not even empty, where there are collections, was lost as a whole: a server makes it
//!   before the first collection.
//!
//! What proves nothing, and is a note at most: a checkpoint before the begin (shards share channels, and the log is cut as far as
//! no shard has records that it needs), and an empty channel whose shards have no checkpoint (nothing may
//! have been written yet). A gap within a channel is found by reading it (`log`).

use std::collections::BTreeSet;

use milvus_format::path;
use milvus_types::{CollectionId, VChannel};

use crate::catalogue::Contents;
use crate::check::Manifests;
use crate::finding::{Finding, Severity};
use crate::log::{End, Spans, object_of};

const ADVICE: &str = "the shard is not opened. What was flushed is in segments, untouched; what was \
    acknowledged since is lost unless the log comes back: restore the whole data directory, log and \
    catalogue together, from one backup";

/// A shard and where its manifest says that replay begins.
struct Shard<'a> {
    collection: CollectionId,
    vchannel: &'a VChannel,
    /// The manifest and the position.
    checkpoint: Option<(String, u64)>,
}

/// What of the log that `manifests` and collections need is not there.
pub(crate) fn check(contents: &Contents, manifests: &Manifests, spans: &Spans) -> Vec<Finding> {
    let shards = shards(contents, manifests);
    let mut found = Vec::new();
    if spans.is_gone && !contents.collections.is_empty() {
        let what = format!(
            "it is not there, and {} collections are: a server makes it before the first one",
            contents.collections.len()
        );
        found.push(Finding::new(Severity::Missing, "log", what).advise(ADVICE));
    }
    let is_lost = |channel: &str| spans.end_of(channel) == End::Nothing;
    let cuts = || contents.cuts.iter().filter(|(_, at)| **at > 0).map(|(channel, _)| &**channel);
    let lost: BTreeSet<&str> = shards
        .iter()
        .filter(|shard| spans.is_gone || shard.checkpoint.as_ref().is_some_and(|(_, at)| *at > 0))
        .map(|shard| shard.vchannel.pchannel())
        .chain(cuts().filter(|channel| shards.iter().any(|shard| shard.is_on(channel))))
        .filter(|channel| is_lost(channel))
        .collect();
    for shard in &shards {
        let channel = shard.vchannel.pchannel();
        let finding = match spans.end_of(channel) {
            _ if lost.contains(channel) => Some(shard.lost(channel, spans.is_gone)),
            End::At(end) => shard.behind(end, contents.cuts.get(channel).copied()),
            End::Nothing if spans.unmade.contains(channel) => Some(shard.unmade(channel)),
            End::Nothing | End::Unknown => None,
        };
        found.extend(finding.map(|finding| contents.name(finding)));
    }
    found
}

/// The shards of all collections, and those that only manifests know.
fn shards<'a>(contents: &'a Contents, manifests: &'a Manifests) -> Vec<Shard<'a>> {
    let mut shards = Vec::new();
    for (id, manifest) in manifests {
        let at = path::manifest(*id, manifest.version);
        let collection = contents.collections.get(id);
        // One that its collection does not have is a finding already.
        let is_known = |vchannel| collection.is_none_or(|it| it.vchannels.contains(vchannel));
        let known = manifest.checkpoints.iter().filter(|it| is_known(&it.vchannel));
        shards.extend(known.map(|checkpoint| Shard {
            collection: *id,
            vchannel: &checkpoint.vchannel,
            checkpoint: Some((at.clone(), checkpoint.position)),
        }));
    }
    for (id, collection) in &contents.collections {
        // Where the manifest cannot be read nobody knows what it says.
        if contents.manifests.contains_key(id) && !manifests.contains_key(id) {
            continue;
        }
        let manifest = manifests.get(id);
        let has = |vchannel: &&VChannel| {
            manifest.is_some_and(|manifest| manifest.checkpoint(vchannel).is_some())
        };
        let without = collection.vchannels.iter().filter(|vchannel| !has(vchannel));
        shards.extend(without.map(|vchannel| Shard {
            collection: *id,
            vchannel,
            checkpoint: None,
        }));
    }
    shards
}

impl Shard<'_> {
    /// Its channel has lost all records; with it all others, if the whole log is gone.
    fn lost(&self, channel: &str, is_gone: bool) -> Finding {
        let Self { vchannel, .. } = self;
        let what = match &self.checkpoint {
            Some((manifest, at)) => format!(
                "it has no records, though {manifest} has the checkpoint of {vchannel} at {at}: what \
                 was acknowledged behind it is lost"
            ),
            None if is_gone => format!(
                "it went with the log, and {vchannel} has no checkpoint: whatever was acknowledged to it \
                 is lost"
            ),
            None => format!(
                "it has no records, though it had some, and {vchannel} has no checkpoint: whatever was \
                 acknowledged to it is lost"
            ),
        };
        self.concern(Finding::new(Severity::Missing, object_of(channel), what))
    }

    /// Its channel is not there, and nothing says whether it ever was.
    fn unmade(&self, channel: &str) -> Finding {
        let what = format!(
            "it is not there: no server has opened {} yet, or it was lost with what was acknowledged",
            self.vchannel
        );
        let finding = Finding::note(object_of(channel), what).of_id(self.collection);
        self.on_shard(finding)
    }

    fn is_on(&self, channel: &str) -> bool {
        self.vchannel.pchannel() == channel
    }

    /// Its channel ends at `end`, where that is before its checkpoint or before the place it was cut at.
    fn behind(&self, end: u64, cut: Option<u64>) -> Option<Finding> {
        let vchannel = self.vchannel;
        let Some((manifest, at)) = self.checkpoint.as_ref().filter(|(_, at)| *at > end) else {
            let cut = cut.filter(|cut| *cut > end)?;
            let what = format!(
                "the log of {vchannel} ends at {end} and was cut at {cut}: it had reached that, and what \
                 was acknowledged behind it is lost"
            );
            return Some(self.concern(Finding::damage(object_of(vchannel.pchannel()), what)));
        };
        let what = format!(
            "the log of {vchannel} ends at {end}, before the checkpoint at {at}: records are missing, \
             and what was acknowledged behind it is lost"
        );
        Some(self.concern(Finding::damage(manifest, what)))
    }

    fn concern(&self, finding: Finding) -> Finding {
        self.on_shard(finding.of_id(self.collection).advise(ADVICE))
    }

    fn on_shard(&self, mut finding: Finding) -> Finding {
        finding.concerns.vchannels = vec![self.vchannel.to_string()];
        finding
    }
}
