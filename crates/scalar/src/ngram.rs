//! NGRAM: which rows may match a pattern, by the substrings they have.
//!
//! Every run of `min_gram` to `max_gram` characters of a string is a key. A pattern's literal parts
//! are cut into grams; the rows that have all of them are candidates, to be verified against the
//! column. A pattern without a literal part of `min_gram` characters is not answered.

use std::borrow::Cow;
use std::fmt;

use arrow::array::AsArray;
use milvus_expr::{Answer, CompareOp, Condition, Leaf, Literal};
use milvus_types::{FieldId, KeyValue};
use rustc_hash::FxHashMap;

use crate::build::{Input, PRESENT};
use crate::container::{Container, Part, part};
use crate::error::{BuildError, OpenError};
use crate::index_type::ScalarIndexType;
use crate::json::{Json, find, holds_anything};
use crate::postings::{Postings, PostingsBuilder};
use crate::row_set::RowSet;
use crate::scalar_index::{Base, ScalarIndex};
use crate::shape::{JsonCast, Shape, Value};
use crate::terms::{Terms, TermsBuilder};

/// So many grams of a pattern narrow the rows well enough.
const MOST_GRAMS: usize = 16;

pub(crate) fn build(
    input: &Input<'_>,
    params: &mut Vec<KeyValue>,
    parts: &mut Vec<Part>,
) -> Result<(), BuildError> {
    let texts = texts(input, parts)?;
    let (least, most) = input.spec.grams;
    let mut rows_of: FxHashMap<&str, Vec<u32>> = FxHashMap::default();
    let mut cuts = Vec::new();
    for (text, row) in &texts {
        cut(text, &mut cuts);
        for length in least..=most {
            for (from, to) in cuts.iter().zip(cuts.get(length..).unwrap_or_default()) {
                let rows = rows_of.entry(text.get(*from..*to).unwrap_or_default()).or_default();
                if rows.last() != Some(row) {
                    rows.push(*row);
                }
            }
        }
    }
    let mut grams: Vec<_> = rows_of.into_iter().collect();
    grams.sort_unstable_by_key(|(gram, _)| *gram);
    let (mut terms, mut postings) = (TermsBuilder::new(false), PostingsBuilder::default());
    for (gram, rows) in &grams {
        terms.push(gram.as_bytes());
        postings.key()?;
        rows.iter().for_each(|row| postings.row(*row));
    }
    params.extend([
        KeyValue::new("keys", grams.len().to_string()),
        KeyValue::new("min_gram", least.to_string()),
        KeyValue::new("max_gram", most.to_string()),
    ]);
    parts.extend(terms.parts());
    parts.extend(postings.parts(false, input.rows)?);
    Ok(())
}

/// The string of each row that has one.
fn texts<'a>(
    input: &Input<'a>,
    parts: &mut Vec<Part>,
) -> Result<Vec<(Cow<'a, str>, u32)>, BuildError> {
    let is_json = input.spec.target.shape == Shape::Json(JsonCast::VarChar);
    let mut present = RowSet::none(input.rows);
    let mut texts = Vec::with_capacity(input.rows);
    input.for_each_row(|chunk, index, row| {
        let array = chunk.as_string_opt::<i32>().ok_or_else(|| input.mismatch(chunk))?;
        let text = array.value(index);
        if !is_json {
            texts.push((Cow::Borrowed(text), row));
            return Ok(());
        }
        let value = find(text.as_bytes(), &input.spec.target.path);
        if value.as_ref().is_some_and(holds_anything) {
            present.insert(row);
        }
        if let Some(Json::Text(text)) = value {
            texts.push((text, row));
        }
        Ok(())
    })?;
    if is_json {
        parts.push(part(PRESENT, present.words()));
    }
    Ok(texts)
}

/// Where the characters of `text` begin, and where it ends.
fn cut(text: &str, cuts: &mut Vec<usize>) {
    cuts.clear();
    cuts.extend(text.char_indices().map(|(at, _)| at));
    cuts.push(text.len());
}

/// An index of substrings.
pub(crate) struct NgramIndex {
    base: Base,
    terms: Terms,
    postings: Postings,
    least: usize,
    most: usize,
}

impl NgramIndex {
    pub(crate) fn open(container: &Container, base: Base) -> Result<Self, OpenError> {
        let header = &container.header;
        let (least, most) = (header.number("min_gram")?, header.number("max_gram")?);
        if least == 0 || least > most || base.target.shape.value() != Some(Value::Text) {
            return Err(OpenError::malformed("n-grams are not those of a string"));
        }
        let keys = header.number("keys")?;
        Ok(Self {
            terms: Terms::open(container, keys, false)?,
            postings: Postings::open(container, keys, base.rows)?,
            base,
            least,
            most,
        })
    }

    /// The rows whose strings may contain all of `texts`; `None` if all are too short to tell.
    fn candidates(&self, texts: &[&str]) -> Option<RowSet> {
        let terms = self.terms.view();
        let mut lists: Vec<&[u32]> = Vec::new();
        let mut cuts = Vec::new();
        let mut told = false;
        for text in texts {
            cut(text, &mut cuts);
            let length = (cuts.len() - 1).min(self.most);
            if length < self.least {
                continue;
            }
            told = true;
            for (from, to) in cuts.iter().zip(cuts.get(length..).unwrap_or_default()) {
                let gram = text.get(*from..*to).unwrap_or_default();
                let (key, found) = terms.find(gram.as_bytes());
                if !found {
                    return Some(RowSet::none(self.base.rows));
                }
                lists.push(self.postings.list(&(key..key + 1)));
            }
        }
        lists.sort_unstable_by_key(|list| list.len());
        lists.truncate(MOST_GRAMS);
        told.then(|| self.in_all(&lists))
    }

    /// The rows in all of `lists`, the shortest of which comes first.
    fn in_all(&self, lists: &[&[u32]]) -> RowSet {
        let mut lists = lists.iter();
        let mut rows: Vec<u32> = lists.next().map_or_else(Vec::new, |list| list.to_vec());
        for list in lists {
            let mut rest = *list;
            rows.retain(|row| {
                // Lists of very different lengths: leap rather than walk.
                let mut step = 1;
                while rest.get(step).is_some_and(|other| other < row) {
                    step *= 2;
                }
                let from = step / 2;
                let window = rest.get(from..rest.len().min(step + 1)).unwrap_or_default();
                let at = from + window.partition_point(|other| other < row);
                rest = rest.get(at..).unwrap_or_default();
                rest.first() == Some(row)
            });
        }
        let mut set = RowSet::none(self.base.rows);
        set.insert_all(&rows);
        set
    }
}

impl ScalarIndex for NgramIndex {
    fn index_type(&self) -> ScalarIndexType {
        self.base.index_type
    }

    fn field(&self) -> FieldId {
        self.base.target.field
    }

    fn path(&self) -> &[Box<str>] {
        &self.base.target.path
    }

    fn rows(&self) -> usize {
        self.base.rows
    }

    fn memory_bytes(&self) -> u64 {
        self.base.bytes() + self.terms.bytes() + self.postings.bytes()
    }

    fn answer(&self, leaf: &Leaf<'_>) -> Option<Answer> {
        if matches!(leaf.condition, Condition::IsNull) {
            let whole = leaf.field == self.field() && leaf.path.is_empty() && !leaf.is_dynamic;
            return whole.then(|| self.base.is_null());
        }
        let rest = self.base.target.rest(leaf)?;
        if !rest.is_empty() {
            return None;
        }
        let rows = match &leaf.condition {
            Condition::Match(pattern) => {
                let texts = pattern.substrings();
                self.candidates(&texts.iter().map(String::as_str).collect::<Vec<_>>())?
            }
            Condition::Compare { op: CompareOp::Equal, value: Literal::VarChar(text) } => {
                self.candidates(&[text])?
            }
            Condition::Exists => {
                return Some(self.base.answer(leaf, self.base.present()?, false, true));
            }
            Condition::Compare { .. }
            | Condition::Range { .. }
            | Condition::In(_)
            | Condition::Contains { .. }
            | Condition::IsNull
            | Condition::Spatial(_) => return None,
        };
        let exact = rows.is_empty();
        Some(self.base.answer(leaf, rows, false, exact))
    }
}

impl fmt::Debug for NgramIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NgramIndex")
            .field("target", &self.base.target)
            .field("least", &self.least)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}
