//! A check, from the catalogue to the last file.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{self, StreamExt as _};
use milvus_format::{Manifest, path};
use milvus_meta::KvError;
use milvus_types::{Collection, CollectionId};

use crate::catalogue::{self, Contents};
use crate::error::CheckError;
use crate::finding::Finding;
use crate::newer::Newer;
use crate::options::{CheckOptions, OnProgress, PlantedBug, Progress};
use crate::outcome::Outcome;
use crate::report::Report;
use crate::target::Target;
use crate::{checkpoints, log, manifest, newer, orphans, owner, segment};

/// Bytes of a file after which its reader says again how far it is.
const SAY_EVERY: u64 = 256 << 20;

/// What the parts of one check share.
pub(crate) struct Run<'a> {
    pub(crate) target: &'a Target,
    pub(crate) options: &'a CheckOptions,
    pub(crate) progress: Meter,
}

/// The current manifests, by collection.
pub(crate) type Manifests = BTreeMap<CollectionId, Manifest>;

/// Verifies every checksum and reference of `target`, and changes nothing.
///
/// Cost: reads every byte of every file that a current manifest names, twice where it is opened too;
/// maps one file of each of `options.parallel` segments at a time.
/// Errors: what is damaged or missing is in the report; an error means that the check was not done.
pub async fn check(target: &Target, options: &CheckOptions) -> Result<Report, CheckError> {
    let run = Run { target, options, progress: Meter::new(options.on_progress.clone()) };
    let mut outcome = Outcome::default();
    let contents = match contents(&run, &mut outcome).await {
        Ok(contents) => contents,
        Err(KvError::InUse { store }) => return Err(CheckError::InUse(KvError::InUse { store })),
        Err(error) => {
            let what = format!("the catalogue cannot be read: {}", crate::file::chain(&error));
            outcome.push(Finding::damage(&target.kv_name, what).advise(LOST_CATALOGUE));
            log::check(&run, None, &mut outcome).await?;
            return Ok(Report::new(outcome.findings, outcome.counts));
        }
    };
    refuse_elsewhere(target, &contents)?;
    let not_its_own = owner::check(target, &contents).await?;
    let spans = log::check(&run, Some(&contents), &mut outcome).await?;
    let manifests = read_manifests(&run, &contents, &mut outcome).await;
    if options.planted_bug != PlantedBug::SkipReferences {
        let refers = manifest::Refers { contents: &contents };
        let found = manifests.iter().flat_map(|(id, current)| refers.check(*id, current));
        outcome.findings.extend(found);
    }
    if options.planted_bug != PlantedBug::SkipCheckpoints {
        outcome.findings.extend(checkpoints::check(&contents, &manifests, &spans));
    }
    check_segments(&run, &contents, &manifests, &mut outcome).await;
    if target.may_be_in_use {
        newer::judge(target, &contents, &mut outcome).await;
    }
    let newer = Newer::find(&*target.store, &contents).await?;
    newer.report(&contents, &mut outcome);
    if options.planted_bug != PlantedBug::SkipOrphans {
        orphans::check(target, &contents, &manifests, &newer, &mut outcome).await?;
    }
    if let Some(finding) = not_its_own {
        outcome.findings.iter_mut().for_each(|finding| finding.repair = None);
        outcome.push(finding);
    }
    Ok(Report::new(outcome.findings, outcome.counts))
}

const LOST_CATALOGUE: &str = "nothing can be served without the catalogue, and segments cannot be \
    checked without it: restore meta.redb from a backup; the files of segments are untouched";

/// A catalogue that is of data and a log elsewhere would have all of them reported as lost.
fn refuse_elsewhere(target: &Target, contents: &Contents) -> Result<(), CheckError> {
    let (Some(told), Some(known)) = (&target.placement, &contents.placement) else {
        return Ok(());
    };
    let places = [("data", &told.data, &known.data), ("the log", &told.log, &known.log)];
    for (what, got, want) in places {
        if got != want {
            let (got, want) = (got.clone(), want.clone());
            return Err(CheckError::Elsewhere { what, got, want });
        }
    }
    Ok(())
}

async fn contents(run: &Run<'_>, outcome: &mut Outcome) -> Result<Contents, KvError> {
    let kv = run.target.kv.as_ref().map_err(Clone::clone)?;
    let references = run.options.planted_bug != PlantedBug::SkipReferences;
    catalogue::read(&**kv, references, outcome).await
}

/// The current manifests that can be read; the others are findings.
async fn read_manifests(run: &Run<'_>, contents: &Contents, outcome: &mut Outcome) -> Manifests {
    let mut manifests = Manifests::new();
    for (id, version) in &contents.manifests {
        outcome.counts.files += 1;
        match manifest::read(run, *id, *version).await {
            Ok(manifest) => drop(manifests.insert(*id, manifest)),
            Err(finding) => {
                let at = path::manifest(*id, *version);
                let finding = contents.name(finding.of_id(*id));
                outcome.push(finding.advise(manifest::advice(*id, &at)));
            }
        }
    }
    manifests
}

async fn check_segments(
    run: &Run<'_>,
    contents: &Contents,
    manifests: &Manifests,
    outcome: &mut Outcome,
) {
    let segments: Vec<_> = manifests
        .iter()
        .flat_map(|(id, manifest)| {
            manifest.segments.iter().map(move |entry| (*id, manifest, entry))
        })
        .collect();
    run.progress.total(segments.iter().flat_map(|(.., entry)| entry.files()));
    let outcomes = stream::iter(segments).map(|(id, manifest, entry)| {
        let collection: Option<Arc<Collection>> = contents.collections.get(&id).cloned();
        let names = contents.index_names(id);
        let manifest = path::manifest(id, manifest.version);
        let collection_id = id;
        let subject = segment::Subject { collection, collection_id, entry, manifest, names };
        segment::check(run, subject)
    });
    let mut outcomes = outcomes.buffered(run.options.parallel.max(1));
    while let Some(found) = outcomes.next().await {
        outcome.merge(found);
    }
    run.progress.begin("done");
}

/// Every file that current manifests name.
pub(crate) fn named_files(manifests: &Manifests) -> HashSet<&str> {
    let files = manifests.values().flat_map(Manifest::files);
    files.map(|file| file.path.as_str()).collect()
}

/// Counts what was read and says so.
pub(crate) struct Meter {
    say: Option<OnProgress>,
    files: AtomicU64,
    files_total: AtomicU64,
    bytes: AtomicU64,
    bytes_total: AtomicU64,
}

impl Meter {
    fn new(say: Option<OnProgress>) -> Self {
        let zero = AtomicU64::default;
        Self { say, files: zero(), files_total: zero(), bytes: zero(), bytes_total: zero() }
    }

    fn total<'f>(&self, files: impl Iterator<Item = &'f milvus_format::FileMeta>) {
        for file in files {
            self.files_total.fetch_add(1, Ordering::Relaxed);
            self.bytes_total.fetch_add(file.bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn begin(&self, object: &str) {
        self.say(object);
    }

    pub(crate) fn end(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, bytes: u64, object: &str) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before / SAY_EVERY != (before + bytes) / SAY_EVERY {
            self.say(object);
        }
    }

    fn say(&self, object: &str) {
        let Some(say) = &self.say else {
            return;
        };
        say(&Progress {
            files: self.files.load(Ordering::Relaxed),
            files_total: self.files_total.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            object: object.to_owned(),
        });
    }
}
