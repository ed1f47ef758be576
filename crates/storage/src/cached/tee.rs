//! A writer that keeps a copy of what it writes. Not being able to is no error.

use std::io::{self, Write};
use std::sync::Arc;

use super::disk::{self, Part};
use super::space::{Reserved, Space};
use crate::error::StoreError;
use crate::store::ObjectMeta;
use crate::writer::{ObjectWriter, Upload};

pub(super) struct TeeUpload {
    inner: ObjectWriter,
    path: String,
    space: Arc<Space>,
    /// None once no copy is kept any more.
    kept: Option<(Part, Reserved)>,
}

impl TeeUpload {
    pub(super) fn new(inner: ObjectWriter, path: &str, space: Arc<Space>) -> Self {
        let kept = space.reserve(0).and_then(|reserved| match Part::create(space.directory()) {
            Ok(part) => Some((part, reserved)),
            Err(error) => {
                disk::report(path, &error);
                None
            }
        });
        Self { inner, path: path.to_owned(), space, kept }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some((mut part, mut reserved)) = self.kept.take() else {
            return;
        };
        if !reserved.grow(&self.space, bytes.len() as u64) {
            return;
        }
        match part.append(bytes) {
            Ok(()) => self.kept = Some((part, reserved)),
            Err(error) => disk::report(&self.path, &error),
        }
    }
}

impl Write for TeeUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        self.keep(buf.get(..written).unwrap_or(buf));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for TeeUpload {
    fn finish(self: Box<Self>) -> Result<ObjectMeta, StoreError> {
        let finished = self.inner.finish();
        // Even a put that failed may have happened.
        self.space.forget(&self.path);
        let meta = finished?;
        if let Some((part, reserved)) = self.kept {
            match part.finish(meta.clone()) {
                Ok(copy) => self.space.insert(copy, reserved),
                Err(error) => disk::report(&self.path, &error),
            }
        }
        Ok(meta)
    }
}
