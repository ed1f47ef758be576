//! The contract of a scalar index, and opening one.

use std::fmt;

use milvus_expr::{Answer, Leaf};
use milvus_types::FieldId;

use crate::build::{KEYLESS, NULLS, PRESENT};
use crate::container::Container;
use crate::error::OpenError;
use crate::index_type::ScalarIndexType;
use crate::ngram::NgramIndex;
use crate::ordered::OrderedIndex;
use crate::row_set::RowSet;
use crate::rtree::RtreeIndex;
use crate::section::{Mapped, Section};
use crate::shape::{Shape, Target};

/// An index over one field, or one path of a JSON field, of one segment.
pub trait ScalarIndex: fmt::Debug + Send + Sync {
    /// What it is.
    fn index_type(&self) -> ScalarIndexType;
    /// The field it is over.
    fn field(&self) -> FieldId;
    /// The path within a JSON field; empty for the whole field and for other fields.
    fn path(&self) -> &[Box<str>];
    /// Rows it covers, which are all rows of the segment.
    fn rows(&self) -> usize;
    /// Bytes it reads from, mapped or not.
    fn memory_bytes(&self) -> u64;
    /// What it knows of `leaf`: never a row less than those where it is true, and exactly those
    /// where it is unknown. `None` if it knows nothing.
    fn answer(&self, leaf: &Leaf<'_>) -> Option<Answer>;
}

/// Opens the index that `bytes` hold, checking all of it.
pub fn open(bytes: Mapped) -> Result<Box<dyn ScalarIndex>, OpenError> {
    let container = Container::open(bytes)?;
    let base = Base::open(&container)?;
    match (base.index_type, base.target.shape) {
        (ScalarIndexType::Rtree, _) | (_, Shape::Geometry) => {
            Ok(Box::new(RtreeIndex::open(&container, base)?))
        }
        (ScalarIndexType::Ngram, _) => Ok(Box::new(NgramIndex::open(&container, base)?)),
        _ => Ok(Box::new(OrderedIndex::open(&container, base)?)),
    }
}

/// What every index has.
pub(crate) struct Base {
    pub(crate) index_type: ScalarIndexType,
    pub(crate) target: Target,
    pub(crate) rows: usize,
    nulls: Section<u64>,
    keyless: Section<u64>,
    present: Section<u64>,
}

impl Base {
    fn open(container: &Container) -> Result<Self, OpenError> {
        let header = &container.header;
        let index_type = ScalarIndexType::parse(&header.index_type).ok_or_else(|| {
            OpenError::malformed(format!("index type {} is unknown", header.index_type))
        })?;
        // Reserving for a row count that is a lie must not take the process down.
        if header.rows >= u32::MAX as usize {
            return Err(OpenError::malformed(format!("{} rows are too many", header.rows)));
        }
        let set = |tag| {
            let words: Section<u64> = container.section(tag)?;
            if !words.is_empty() && words.len() != header.rows.div_ceil(64) {
                return Err(OpenError::malformed("a set of rows is of another length"));
            }
            Ok(words)
        };
        Ok(Self {
            index_type,
            target: Target::open(header)?,
            rows: header.rows,
            nulls: set(NULLS)?,
            keyless: set(KEYLESS)?,
            present: set(PRESENT)?,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.nulls.bytes() + self.keyless.bytes() + self.present.bytes()
    }

    /// The null rows, `None` if there are none.
    pub(crate) fn nulls(&self) -> Option<RowSet> {
        let words = self.nulls.as_slice();
        (!words.is_empty()).then(|| RowSet::of_words(words, self.rows))
    }

    /// The rows that have a key.
    pub(crate) fn keyed(&self) -> RowSet {
        RowSet::of_words(self.keyless.as_slice(), self.rows).not()
    }

    /// The rows whose JSON path leads to something; `None` if that was not noted.
    pub(crate) fn present(&self) -> Option<RowSet> {
        let words = self.present.as_slice();
        (!words.is_empty()).then(|| RowSet::of_words(words, self.rows))
    }

    /// The answer to `is null` over the whole field.
    pub(crate) fn is_null(&self) -> Answer {
        let yes = self.nulls().unwrap_or_else(|| RowSet::none(self.rows));
        Answer { yes: yes.into_buffer(), unknown: None, exact: true }
    }

    /// An answer about `leaf` whose true rows are `yes`, or are not `yes` if it is negated.
    pub(crate) fn answer(
        &self,
        leaf: &Leaf<'_>,
        yes: RowSet,
        negated: bool,
        exact: bool,
    ) -> Answer {
        let unknown = if leaf.is_dynamic { None } else { self.nulls() };
        let yes = match (&unknown, negated) {
            (Some(unknown), true) => yes.not().and_not(unknown),
            (None, true) => yes.not(),
            (_, false) => yes,
        };
        Answer { yes: yes.into_buffer(), unknown: unknown.map(RowSet::into_buffer), exact }
    }
}
