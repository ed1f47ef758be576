//! What of a segment is kept in memory: `mmap.enabled` and the warm-up policies, as Milvus names them.
//!
//! Files are mapped unless `mmap.enabled` is false for them; then they are copied into memory, which
//! the governor is asked for. A mapped file is read ahead of the first search by its policy: `sync`
//! before the load ends, `async` behind it, `disable` not at all. Files that do not fit in memory beside
//! what is served are not read ahead, whatever the policy: they would push each other out.
//!
//! A field's or index's own setting goes before the collection's, and that before the default: mapped;
//! indexes `async`, fields `disable`. A segment's columns are one file: it is copied where a field of
//! it is.

use std::sync::Arc;

use arrow::array::ArrayData;
use arrow::buffer::{Buffer, MutableBuffer};
use bytes::Bytes;
use milvus_types::index_meta::find;
use milvus_types::{Collection, FieldSchema, IndexMeta, KeyValue};

/// Own setting: whether something is mapped.
const MMAP: &str = "mmap.enabled";
/// Own setting: when something is read.
const WARMUP: &str = "warmup";
/// A page of memory, in bytes.
const PAGE: usize = 4096;

/// When a mapped file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Warmup {
    /// As searches touch it.
    Disable,
    /// In the background, once it is loaded.
    Async,
    /// Before it counts as loaded.
    Sync,
}

impl Warmup {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "disable" => Some(Self::Disable),
            "async" => Some(Self::Async),
            "sync" => Some(Self::Sync),
            _ => None,
        }
    }
}

/// Whether a segment's columns are mapped.
pub(crate) fn maps_columns(collection: &Collection) -> bool {
    let of_collection = flag(&collection.properties);
    let of_field = |field: &FieldSchema| flag(&field.type_params).or(of_collection).unwrap_or(true);
    collection.schema.fields.iter().all(of_field)
}

/// When the column of `field` is read.
pub(crate) fn warmup_of_field(collection: &Collection, field: &FieldSchema) -> Warmup {
    let kind =
        if field.data_type.is_vector() { "warmup.vectorField" } else { "warmup.scalarField" };
    policy(&field.type_params, collection, kind).unwrap_or(Warmup::Disable)
}

/// Whether the file of an index is mapped. `index` is its definition, if it is still there.
pub(crate) fn maps_index(collection: &Collection, index: Option<&IndexMeta>) -> bool {
    let own = index.and_then(|index| flag(&index.user_params));
    own.or_else(|| flag(&collection.properties)).unwrap_or(true)
}

/// When the file of an index over `field` is read.
pub(crate) fn warmup_of_index(
    collection: &Collection,
    field: &FieldSchema,
    index: Option<&IndexMeta>,
) -> Warmup {
    let kind =
        if field.data_type.is_vector() { "warmup.vectorIndex" } else { "warmup.scalarIndex" };
    let own = index.map_or(&[][..], |index| &index.user_params);
    policy(own, collection, kind).unwrap_or(Warmup::Async)
}

fn flag(settings: &[KeyValue]) -> Option<bool> {
    find(settings, MMAP).map(|value| !value.eq_ignore_ascii_case("false"))
}

fn policy(own: &[KeyValue], collection: &Collection, kind: &str) -> Option<Warmup> {
    let of = |settings, key| find(settings, key).and_then(Warmup::parse);
    of(own, WARMUP).or_else(|| of(&collection.properties, kind))
}

/// A copy of `mapped` in memory of this process, aligned as Arrow wants it.
pub(crate) fn copied(mapped: &Bytes) -> Buffer {
    let mut memory = MutableBuffer::with_capacity(mapped.len());
    memory.extend_from_slice(mapped);
    memory.into()
}

/// What is to be read of a segment, and when.
#[derive(Debug, Default)]
pub(crate) struct ToRead {
    before: Vec<Buffer>,
    behind: Vec<Buffer>,
}

impl ToRead {
    /// Adds `bytes` by `policy`.
    pub(crate) fn add(&mut self, policy: Warmup, bytes: Buffer) {
        match policy {
            Warmup::Disable => {}
            Warmup::Async => self.behind.push(bytes),
            Warmup::Sync => self.before.push(bytes),
        }
    }

    /// Adds what `column` consists of.
    pub(crate) fn add_column(&mut self, policy: Warmup, column: &ArrayData) {
        if policy == Warmup::Disable {
            return;
        }
        column.buffers().iter().for_each(|buffer| self.add(policy, buffer.clone()));
        column.child_data().iter().for_each(|child| self.add_column(policy, child));
    }

    /// Bytes in all.
    pub(crate) fn bytes(&self) -> u64 {
        self.before.iter().chain(&self.behind).map(|buffer| buffer.len() as u64).sum()
    }

    /// Reads what is to be read before, and starts to read the rest.
    pub(crate) async fn read(self) {
        let Self { before, behind } = self;
        if !before.is_empty() {
            let _ = milvus_base::io::run(move || touch(&before)).await;
        }
        if !behind.is_empty() {
            // Ends by itself; what is released meanwhile stays mapped until then.
            milvus_base::task::spawn("warm-up", async move {
                let _ = milvus_base::io::run(move || touch(&behind)).await;
            });
        }
    }
}

/// Touches every page. Blocks.
fn touch(buffers: &[Buffer]) {
    for buffer in buffers {
        let sum = buffer.as_slice().iter().step_by(PAGE).fold(0_u8, |sum, byte| sum ^ byte);
        std::hint::black_box(sum);
    }
}

/// An index file's bytes, mapped or copied.
pub(crate) struct Held(pub(crate) Buffer);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The definition of the index that `id` names.
pub(crate) fn definition(
    indexes: &[Arc<IndexMeta>],
    id: milvus_types::IndexId,
) -> Option<&IndexMeta> {
    indexes.iter().find(|index| index.id == id).map(|index| &**index)
}

#[cfg(test)]
mod tests;
