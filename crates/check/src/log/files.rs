//! A log in local files: each channel is read through a view (`crate::view`), because opening one
//! settles where it ends. A write that a crash cut short is no damage: nobody was promised it.
//!
//! A server makes the log's directory when it first starts, before there is any collection.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use milvus_types::Timestamp;
use milvus_wal::{LocalWal, LocalWalOptions, Wal as _, WalDamaged};

use super::records::{self, Failure};
use super::{ADVICE, End, Spans};
use crate::check::Run;
use crate::error::CheckError;
use crate::finding::{Finding, Severity};
use crate::outcome::Outcome;
use crate::view;

/// Reads every channel in directory `dir`.
pub(super) async fn check(
    run: &Run<'_>,
    dir: &Path,
    mark: Option<Timestamp>,
    spans: &mut Spans,
    outcome: &mut Outcome,
) -> Result<(), CheckError> {
    let listed = match list(dir).await {
        Ok(listed) => listed,
        Err(CheckError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            spans.is_gone = true;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for Listed { name, path, is_dir } in listed {
        if name == "LOCK" {
            continue;
        }
        if name.starts_with('~') || !is_dir {
            let what = "it is no channel of the log";
            outcome.push(Finding::new(Severity::Orphan, shown(dir, &path), what));
            continue;
        }
        run.progress.begin(&shown(dir, &path));
        let channel = ChannelCheck { dir: dir.to_owned(), path, mark };
        channel.run(spans, outcome).await?;
    }
    Ok(())
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

/// One channel being read.
struct ChannelCheck {
    dir: PathBuf,
    path: PathBuf,
    /// No record may be of a later time.
    mark: Option<Timestamp>,
}

impl ChannelCheck {
    async fn run(self, spans: &mut Spans, outcome: &mut Outcome) -> Result<(), CheckError> {
        let mut files = Vec::new();
        for Listed { name, path, .. } in list(&self.path).await? {
            if name.ends_with(".log") || name.ends_with(".trim") {
                files.push(path);
            } else {
                let what = "it is no file of a channel";
                outcome.push(Finding::new(Severity::Orphan, shown(&self.dir, &path), what));
            }
        }
        let copying = self.path.clone();
        let view = milvus_base::io::run(move || view::channel(&copying, &files)).await?;
        let view = view.map_err(|error| CheckError::io("copy the end of", &self.path, error))?;
        match self.read(&view, spans, outcome).await {
            Ok(()) => self.note_cut(&view, outcome).await,
            Err(failure) => {
                outcome.push(self.finding(&view, failure));
                Ok(())
            }
        }
    }

    async fn read(
        &self,
        view: &view::ChannelView,
        spans: &mut Spans,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let wal = LocalWal::open(view.scratch.path(), LocalWalOptions::default()).await;
        let wal = wal.inspect_err(|_| spans.unknown = true)?;
        let object = shown(&self.dir, &self.path);
        let names = wal.channels().await.inspect_err(|_| spans.unknown = true)?;
        let Some(name) = names.into_iter().next() else {
            let what = "it is no channel of the log";
            outcome.push(Finding::new(Severity::Orphan, object, what));
            return Ok(());
        };
        // Until it is read to its end.
        spans.add(&name, End::Unknown);
        let concern = |what| self.concern(Finding::damage(&object, what));
        let end = records::read(&wal, &name, self.mark, outcome, concern).await?;
        spans.add(name, end.into());
        Ok(())
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
