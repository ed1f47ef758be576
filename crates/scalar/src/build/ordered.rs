//! Building INVERTED, STL_SORT, TRIE, BITMAP and HYBRID: sort, number the distinct values, list rows.

use std::borrow::Cow;

use arrow::array::{Array, AsArray};
use milvus_types::KeyValue;

use crate::container::{Part, part};
use crate::error::BuildError;
use crate::index_type::ScalarIndexType;
use crate::json::{find, holds_anything};
use crate::keys::KeysBuilder;
use crate::postings::PostingsBuilder;
use crate::row_set::RowSet;
use crate::shape::{JsonCast, Shape, Value};
use crate::terms::TermsBuilder;

use super::column::{Collected, Lists, Scalars, json_keys};
use super::{Input, KEYLESS, PRESENT, flag};

/// Keys and rows, in the order they were met.
struct Entries<'a> {
    numbers: Vec<(i64, u32)>,
    texts: Vec<(Cow<'a, [u8]>, u32)>,
    keyed: RowSet,
    present: Option<RowSet>,
    inexact: bool,
}

impl<'a> Entries<'a> {
    fn push(&mut self, key: Collected<'a>, row: u32) {
        self.keyed.insert(row);
        match key {
            Collected::Number(key) => self.numbers.push((key, row)),
            Collected::Text(Cow::Borrowed(text)) => {
                self.texts.push((Cow::Borrowed(text.as_bytes()), row));
            }
            Collected::Text(Cow::Owned(text)) => {
                self.texts.push((Cow::Owned(text.into_bytes()), row));
            }
        }
    }
}

pub(super) fn build(
    input: &Input<'_>,
    params: &mut Vec<KeyValue>,
    parts: &mut Vec<Part>,
) -> Result<(), BuildError> {
    let mut entries = Entries {
        numbers: Vec::new(),
        texts: Vec::new(),
        keyed: RowSet::none(input.rows),
        present: None,
        inexact: false,
    };
    let is_text = input.spec.target.shape.value() == Some(Value::Text);
    match input.spec.target.shape {
        Shape::Column(value) => columns(input, value, &mut entries)?,
        Shape::Elements(value) => lists(input, value, &mut entries)?,
        Shape::Json(cast) => json(input, cast, &mut entries)?,
        Shape::Geometry => {}
    }
    let Entries { mut numbers, mut texts, keyed, present, inexact } = entries;
    if inexact {
        params.push(flag("inexact"));
    }
    rows_part(KEYLESS, &keyed.not(), parts);
    if let Some(present) = present {
        parts.push(part(PRESENT, present.words()));
    }
    if is_text {
        texts.sort_unstable();
        texts.dedup();
        write_texts(input, &texts, input.spec.index_type == ScalarIndexType::Trie, params, parts)
    } else {
        numbers.sort_unstable();
        numbers.dedup();
        write_numbers(input, &numbers, params, parts)
    }
}

fn rows_part(tag: crate::container::Tag, set: &RowSet, parts: &mut Vec<Part>) {
    if !set.is_empty() {
        parts.push(part(tag, set.words()));
    }
}

fn columns<'a>(
    input: &Input<'a>,
    value: Value,
    entries: &mut Entries<'a>,
) -> Result<(), BuildError> {
    for (first, chunk) in input.numbered() {
        let scalars = Scalars::new(chunk, value).ok_or_else(|| input.mismatch(chunk))?;
        for (index, row) in (first..).enumerate().take(chunk.len()) {
            if chunk.is_valid(index)
                && let Some(key) = scalars.key(index)
            {
                entries.push(key, row);
            }
        }
    }
    Ok(())
}

fn lists<'a>(input: &Input<'a>, value: Value, entries: &mut Entries<'a>) -> Result<(), BuildError> {
    for (first, chunk) in input.numbered() {
        let lists = Lists::new(chunk, value).ok_or_else(|| input.mismatch(chunk))?;
        for (index, row) in (first..).enumerate().take(chunk.len()) {
            if chunk.is_valid(index) {
                for key in lists.keys(index) {
                    entries.push(key, row);
                }
            }
        }
    }
    Ok(())
}

fn json<'a>(
    input: &Input<'a>,
    cast: JsonCast,
    entries: &mut Entries<'a>,
) -> Result<(), BuildError> {
    let mut present = RowSet::none(input.rows);
    let path = &input.spec.target.path;
    input.for_each_row(|chunk, index, row| {
        let texts = chunk.as_string_opt::<i32>().ok_or_else(|| input.mismatch(chunk))?;
        let Some(value) = find(texts.value(index).as_bytes(), path) else {
            return Ok(());
        };
        if holds_anything(&value) {
            present.insert(row);
        }
        let mut all_exact = true;
        json_keys(&value, cast, &mut |key, exact| {
            all_exact &= exact;
            entries.push(key, row);
        });
        entries.inexact |= !all_exact;
        Ok(())
    })?;
    entries.present = Some(present);
    Ok(())
}

/// Writes sorted string entries.
pub(super) fn write_texts(
    input: &Input<'_>,
    entries: &[(Cow<'_, [u8]>, u32)],
    front_coded: bool,
    params: &mut Vec<KeyValue>,
    parts: &mut Vec<Part>,
) -> Result<(), BuildError> {
    let (mut terms, mut postings) = (TermsBuilder::new(front_coded), PostingsBuilder::default());
    let mut keys = 0;
    for group in entries.chunk_by(|a, b| a.0 == b.0) {
        let Some((term, _)) = group.first() else { continue };
        terms.push(term);
        postings.key()?;
        group.iter().for_each(|(_, row)| postings.row(*row));
        keys += 1;
    }
    params.push(KeyValue::new("key_form", if front_coded { "front-coded" } else { "plain" }));
    finish(input, keys, KeysBuilder::Terms(terms), postings, params, parts)
}

fn write_numbers(
    input: &Input<'_>,
    entries: &[(i64, u32)],
    params: &mut Vec<KeyValue>,
    parts: &mut Vec<Part>,
) -> Result<(), BuildError> {
    let (mut numbers, mut postings) = (Vec::new(), PostingsBuilder::default());
    for group in entries.chunk_by(|a, b| a.0 == b.0) {
        let Some((number, _)) = group.first() else { continue };
        numbers.push(*number);
        postings.key()?;
        group.iter().for_each(|(_, row)| postings.row(*row));
    }
    params.push(KeyValue::new("key_form", "number"));
    finish(input, numbers.len(), KeysBuilder::Numbers(numbers), postings, params, parts)
}

fn finish(
    input: &Input<'_>,
    keys: usize,
    builder: KeysBuilder,
    postings: PostingsBuilder,
    params: &mut Vec<KeyValue>,
    parts: &mut Vec<Part>,
) -> Result<(), BuildError> {
    let bitmaps = match input.spec.index_type {
        ScalarIndexType::Bitmap => true,
        ScalarIndexType::Hybrid => keys <= input.spec.cardinality_limit,
        ScalarIndexType::Inverted
        | ScalarIndexType::StlSort
        | ScalarIndexType::Trie
        | ScalarIndexType::Ngram
        | ScalarIndexType::Rtree => false,
    };
    params.push(KeyValue::new("keys", keys.to_string()));
    parts.extend(builder.parts());
    parts.extend(postings.parts(bitmaps, input.rows)?);
    Ok(())
}
