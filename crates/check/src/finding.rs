//! One thing that a check has found: what, where, whom it concerns, what can be done.

use std::fmt;

use milvus_types::{Collection, CollectionId, FieldId, IndexId, SegmentId};
use serde::Serialize;

/// How bad a finding is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Bytes are not what was written, or name something that cannot be.
    Damage,
    /// Something is named and not there.
    Missing,
    /// It could not be read, or not by this program: whether it is sound is not known.
    Unreadable,
    /// Nothing names it. A server removes it in its time.
    Orphan,
    /// Worth knowing, and no harm.
    Note,
}

impl Severity {
    /// Its name as shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damage => "damage",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Orphan => "orphan",
            Self::Note => "note",
        }
    }

    /// Whether data is not, or may not be, what it should be.
    pub fn is_bad(self) -> bool {
        match self {
            Self::Damage | Self::Missing | Self::Unreadable => true,
            Self::Orphan | Self::Note => false,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a repair does about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// The segment leaves the collection; its files are kept aside.
    QuarantineSegment {
        /// The collection.
        #[serde(serialize_with = "collection_number")]
        collection_id: CollectionId,
        /// The segment.
        #[serde(serialize_with = "segment_number")]
        segment_id: SegmentId,
    },
    /// The manifest stops naming the index file; a server builds the index again.
    DropIndex {
        /// The collection.
        #[serde(serialize_with = "collection_number")]
        collection_id: CollectionId,
        /// The segment.
        #[serde(serialize_with = "segment_number")]
        segment_id: SegmentId,
        /// The index.
        #[serde(serialize_with = "index_number")]
        index_id: IndexId,
    },
    /// The manifest stops saying between what a field's values lie; filters then look at them.
    DropStats {
        /// The collection.
        #[serde(serialize_with = "collection_number")]
        collection_id: CollectionId,
        /// The segment.
        #[serde(serialize_with = "segment_number")]
        segment_id: SegmentId,
        /// The field.
        #[serde(serialize_with = "field_number")]
        field_id: FieldId,
    },
}

fn field_number<S: serde::Serializer>(id: &FieldId, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_i64(id.0)
}

fn collection_number<S: serde::Serializer>(id: &CollectionId, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_i64(id.0)
}

fn segment_number<S: serde::Serializer>(id: &SegmentId, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_i64(id.0)
}

fn index_number<S: serde::Serializer>(id: &IndexId, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_i64(id.0)
}

/// Whom a finding concerns, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Concern {
    /// The collection's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection_id: Option<i64>,
    /// The collection as a user calls it, with its database: `default.books`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// The partition's name, or its id if it has none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// The segment's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<i64>,
    /// How many rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The index's name, or its id if it has none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The shards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vchannels: Vec<String>,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The object's path, the catalogue's key, or the log's file.
    pub object: String,
    /// The first byte concerned, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// Whom it concerns.
    pub concerns: Concern,
    /// What can be done; empty if nothing need be.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
    /// What a repair does about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<Action>,
}

impl Finding {
    pub(crate) fn new(
        severity: Severity,
        object: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            object: object.into(),
            byte: None,
            what: what.into(),
            concerns: Concern::default(),
            advice: String::new(),
            repair: None,
        }
    }

    pub(crate) fn damage(object: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Severity::Damage, object, what)
    }

    pub(crate) fn note(object: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Severity::Note, object, what)
    }

    pub(crate) fn of(mut self, collection: &Collection) -> Self {
        self.concerns.collection_id = Some(collection.id.0);
        self.concerns.collection = Some(format!("{}.{}", collection.db_name, collection.name));
        self
    }

    pub(crate) fn of_id(mut self, collection: CollectionId) -> Self {
        self.concerns.collection_id = Some(collection.0);
        self
    }

    pub(crate) fn at(mut self, byte: Option<u64>) -> Self {
        self.byte = byte;
        self
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        match (&self.collection, self.collection_id) {
            (Some(name), Some(id)) => parts.push(format!("collection {name} ({id})")),
            (None, Some(id)) => parts.push(format!("collection {id}")),
            (_, None) => {}
        }
        parts.extend(self.partition.as_ref().map(|name| format!("partition {name}")));
        parts.extend(self.segment_id.map(|id| format!("segment {id}")));
        parts.extend(self.index.as_ref().map(|name| format!("index {name}")));
        parts.extend(self.rows.map(|rows| format!("{rows} rows")));
        if !self.vchannels.is_empty() {
            parts.push(format!("shards {}", self.vchannels.join(", ")));
        }
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<11}{}", self.severity, self.object)?;
        if let Some(byte) = self.byte {
            write!(f, " at byte {byte}")?;
        }
        write!(f, ": {}", self.what)?;
        if self.concerns != Concern::default() {
            write!(f, "\n           concerns {}", self.concerns)?;
        }
        if !self.advice.is_empty() {
            write!(f, "\n           {}", self.advice)?;
        }
        Ok(())
    }
}
