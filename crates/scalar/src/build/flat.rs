//! Building a flat JSON index: every value at or below the path is a key of its own.
//!
//! A key is the steps from the index's path on, then the kind of the value, then the value, such
//! that one dictionary serves every path ([`prefix`], [`Kind`]). Elements of an array have keys
//! under their place and, again, as elements of their array.

use std::borrow::Cow;

use arrow::array::AsArray;
use milvus_types::KeyValue;
use rustc_hash::FxHashSet;

use crate::container::{Part, part};
use crate::error::BuildError;
use crate::json::{Json, elements, find, holds_anything, members};
use crate::keys::number_bytes;
use crate::ordered::{Kind, push_step};
use crate::row_set::RowSet;

use super::column::json_number;
use super::{Input, PRESENT, flag, ordered};

pub(super) fn build(
    input: &Input<'_>,
    params: &mut Vec<KeyValue>,
    parts: &mut Vec<Part>,
) -> Result<(), BuildError> {
    let mut walk = Walk { key: Vec::new(), entries: Vec::new(), row: 0, inexact: false };
    let mut present = RowSet::none(input.rows);
    input.for_each_row(|chunk, index, row| {
        let texts = chunk.as_string_opt::<i32>().ok_or_else(|| input.mismatch(chunk))?;
        if let Some(value) = find(texts.value(index).as_bytes(), &input.spec.target.path) {
            if holds_anything(&value) {
                present.insert(row);
            }
            walk.row = row;
            walk.value(&value);
        }
        Ok(())
    })?;
    let Walk { mut entries, inexact, .. } = walk;
    if inexact {
        params.push(flag("inexact"));
    }
    parts.push(part(PRESENT, present.words()));
    entries.sort_unstable();
    entries.dedup();
    ordered::write_texts(input, &entries, true, params, parts)
}

/// A walk through the values of one row.
struct Walk {
    /// The steps that lead to the value.
    key: Vec<u8>,
    entries: Vec<(Cow<'static, [u8]>, u32)>,
    row: u32,
    inexact: bool,
}

impl Walk {
    fn value(&mut self, value: &Json<'_>) {
        match value {
            Json::Array(text) => {
                for (index, element) in elements(text).enumerate() {
                    self.scalar(&element, Kind::of_element);
                    self.below(&index.to_string(), &element);
                }
            }
            Json::Object(text) => {
                let mut seen = FxHashSet::default();
                for (name, value) in members(text) {
                    if seen.insert(name.clone()) {
                        self.below(&name, &value);
                    }
                }
            }
            Json::Null | Json::Bool(_) | Json::Int(_) | Json::Double(_) | Json::Text(_) => {
                self.scalar(value, |kind| kind);
            }
        }
    }

    fn below(&mut self, step: &str, value: &Json<'_>) {
        let length = self.key.len();
        push_step(&mut self.key, step);
        self.value(value);
        self.key.truncate(length);
    }

    fn scalar(&mut self, value: &Json<'_>, kind: fn(Kind) -> Kind) {
        let length = self.key.len();
        match value {
            Json::Bool(value) => {
                self.key.extend([kind(Kind::Bool) as u8, u8::from(*value)]);
            }
            Json::Text(text) => {
                self.key.push(kind(Kind::Text) as u8);
                self.key.extend(text.as_bytes());
            }
            Json::Int(_) | Json::Double(_) => {
                let Some((number, exact)) = json_number(value) else { return };
                self.inexact |= !exact;
                self.key.push(kind(Kind::Number) as u8);
                self.key.extend(number_bytes(number));
            }
            Json::Null | Json::Array(_) | Json::Object(_) => return,
        }
        self.entries.push((Cow::Owned(self.key.clone()), self.row));
        self.key.truncate(length);
    }
}
