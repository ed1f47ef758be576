//! Tests of VarChar columns; strings compare by bytes, which is by code points.
//!
//! Most rows are told apart by the lengths of their texts and by eight bytes.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use memchr::memmem::Finder;
use rustc_hash::FxHashSet;

use crate::ast::CompareOp;
use crate::error::EvaluateError;
use crate::literal::Literal;
use crate::pattern::Pattern;

use super::Test;
use super::bits::Bits;
use super::columns::Source;

/// A test of strings.
#[derive(Debug)]
pub(super) enum TextTest {
    Compare(CompareOp, Box<str>),
    Range { low: Box<str>, low_op: CompareOp, high: Box<str>, high_op: CompareOp },
    OneOf(FxHashSet<Box<str>>, Sketch),
    Match(Pattern),
}

impl TextTest {
    pub(super) fn new(test: &Test<'_>) -> Self {
        match test {
            Test::Compare(op, value) => Self::Compare(*op, text(value)),
            Test::Range(lower, upper) => Self::Range {
                low: text(&lower.value),
                low_op: if lower.inclusive { CompareOp::GreaterEqual } else { CompareOp::Greater },
                high: text(&upper.value),
                high_op: if upper.inclusive { CompareOp::LessEqual } else { CompareOp::Less },
            },
            Test::Term(values) => {
                let set = values.iter().map(text).collect();
                let sketch = Sketch::of(&set);
                Self::OneOf(set, sketch)
            }
        }
    }

    /// How much a row costs, on the scale of `Step::cost`.
    pub(super) fn cost(&self) -> u8 {
        match self {
            Self::Compare(..) | Self::Range { .. } => 3,
            Self::OneOf(..) => 4,
            Self::Match(Pattern::Exact(_) | Pattern::Prefix(_) | Pattern::Suffix(_)) => 3,
            Self::Match(Pattern::Contains(_)) => 4,
            Self::Match(Pattern::Wildcards(_)) => 5,
            Self::Match(Pattern::Regex(_)) => 7,
        }
    }

    pub(super) fn bits(
        &self,
        source: &Source,
        array: &ArrayRef,
        active: Option<&Bits>,
    ) -> Result<Bits, EvaluateError> {
        let array: &StringArray = array.as_string_opt().ok_or_else(|| source.mismatch(array))?;
        Ok(match self {
            Self::Compare(CompareOp::Equal, want) | Self::Match(Pattern::Exact(want)) => {
                begins(array, want, |length, want| length == want, active)
            }
            Self::Compare(CompareOp::NotEqual, want) => {
                begins(array, want, |length, want| length == want, active).not()
            }
            Self::Match(Pattern::Prefix(prefix)) => {
                begins(array, prefix, |length, want| length >= want, active)
            }
            Self::Match(Pattern::Contains(finder)) if active.is_none_or(Bits::is_dense) => {
                contains(array, finder)
            }
            Self::Compare(op, want) => rows(array, active, |value| op.holds(Some(value.cmp(want)))),
            Self::Range { low, low_op, high, high_op } => rows(array, active, |value| {
                low_op.holds(Some(value.cmp(low))) && high_op.holds(Some(value.cmp(high)))
            }),
            Self::OneOf(set, sketch) => one_of(array, set, sketch, active),
            Self::Match(pattern) => rows(array, active, |value| pattern.matches(value)),
        })
    }
}

fn rows(array: &StringArray, active: Option<&Bits>, test: impl Fn(&str) -> bool) -> Bits {
    Bits::of_rows(array.len(), active, |row| test(array.value(row)))
}

/// The rows whose text begins with `want` and whose length stands to that of `want` as `length` says.
///
/// Lengths are compared in one pass over the offsets; only rows of a fitting length are read.
fn begins(
    array: &StringArray,
    want: &str,
    length: impl Fn(i32, i32) -> bool,
    active: Option<&Bits>,
) -> Bits {
    let Ok(want_length) = i32::try_from(want.len()) else {
        return Bits::filled(array.len(), false);
    };
    let mut fitting = Bits::of_lengths(array.value_offsets(), |len| length(len, want_length));
    if let Some(active) = active {
        fitting = fitting.and(active);
    }
    let (offsets, text) = (array.value_offsets(), array.value_data());
    let starts = offsets.get(..array.len()).unwrap_or_default();
    let ends = Ends::of(want.as_bytes());
    let begun = if fitting.is_dense() {
        Bits::of_values(starts, |start| ends.begin(text, start)).and(&fitting)
    } else {
        Bits::of_rows(array.len(), Some(&fitting), |row| {
            starts.get(row).is_some_and(|start| ends.begin(text, *start))
        })
    };
    if want.len() <= 16 {
        return begun;
    }
    rows(array, Some(&begun), |value| value.as_bytes().starts_with(want.as_bytes()))
}

/// The first and the last eight bytes of a text, each to be compared in one go; of up to sixteen
/// bytes they are all there is.
struct Ends<'w> {
    want: &'w [u8],
    head: u64,
    mask: u64,
    tail: u64,
    tail_at: usize,
}

impl<'w> Ends<'w> {
    fn of(want: &'w [u8]) -> Self {
        let mut head = [0; 8];
        for (to, from) in head.iter_mut().zip(want) {
            *to = *from;
        }
        let mask = if want.len() >= 8 { !0 } else { (1u64 << (8 * want.len())) - 1 };
        let head = u64::from_le_bytes(head);
        let tail = want.last_chunk().map_or(head, |last| u64::from_le_bytes(*last));
        Self { want, head, mask, tail, tail_at: want.len().saturating_sub(8) }
    }

    /// Whether `text` has them from `start` on; the end of a column is compared byte by byte.
    fn begin(&self, text: &[u8], start: i32) -> bool {
        let start = start.cast_unsigned() as usize;
        match (eight(text, start), eight(text, start + self.tail_at)) {
            (Some(head), Some(tail)) => {
                (head & self.mask == self.head) & (tail & self.mask == self.tail)
            }
            _ => text.get(start..).is_some_and(|rest| rest.starts_with(self.want)),
        }
    }
}

fn eight(text: &[u8], start: usize) -> Option<u64> {
    let eight = text.get(start..)?.first_chunk()?;
    Some(u64::from_le_bytes(*eight))
}

/// The rows whose text contains what `finder` looks for: one search through the texts of all rows.
fn contains(array: &StringArray, finder: &Finder<'_>) -> Bits {
    if finder.needle().is_empty() {
        return Bits::filled(array.len(), true);
    }
    let offsets = array.value_offsets();
    let place =
        |row: usize| offsets.get(row).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    let text = array.value_data().get(..place(array.len())).unwrap_or_default();
    let mut found = Bits::filled(array.len(), false);
    let (mut at, mut row) = (place(0), 0);
    while let Some(hit) = finder.find(text.get(at..).unwrap_or_default()) {
        let hit = at + hit;
        // The row that the hit begins in: usually near, else searched for.
        let skipped = offsets.get(row + 1..).unwrap_or_default();
        row += skipped.partition_point(|end| usize::try_from(*end).is_ok_and(|end| end <= hit));
        if hit + finder.needle().len() <= place(row + 1) {
            found.set(row);
            row += 1;
            at = place(row);
        } else {
            // It runs over into the next row.
            at = hit + 1;
        }
        if row >= array.len() {
            break;
        }
    }
    found
}

fn one_of(
    array: &StringArray,
    set: &FxHashSet<Box<str>>,
    sketch: &Sketch,
    active: Option<&Bits>,
) -> Bits {
    let mut likely =
        Bits::of_lengths(array.value_offsets(), |len| sketch.lengths >> len.clamp(0, 63) & 1 == 1);
    if let Some(active) = active {
        likely = likely.and(active);
    }
    let likely = Bits::of_rows(array.len(), Some(&likely), |row| {
        sketch.may_have(array.value(row).as_bytes())
    });
    rows(array, Some(&likely), |value| set.contains(value))
}

/// What tells most texts apart from those of a set without hashing all of them.
#[derive(Debug)]
pub(super) struct Sketch {
    /// The lengths there are, all from 63 on as one.
    lengths: u64,
    /// A bit for each text, by its first and last eight bytes.
    ends: Box<[u64; 64]>,
}

impl Sketch {
    fn of(set: &FxHashSet<Box<str>>) -> Self {
        let mut sketch = Self { lengths: 0, ends: Box::new([0; 64]) };
        for text in set {
            sketch.lengths |= 1 << text.len().min(63);
            let (word, bit) = Self::place(text.as_bytes());
            if let Some(word) = sketch.ends.get_mut(word) {
                *word |= bit;
            }
        }
        sketch
    }

    fn may_have(&self, text: &[u8]) -> bool {
        let (word, bit) = Self::place(text);
        self.ends.get(word).is_some_and(|word| word & bit != 0)
    }

    fn place(text: &[u8]) -> (usize, u64) {
        let (head, tail) = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
            _ => (text.iter().fold(0, |head, byte| head << 8 | u64::from(*byte)), 0),
        };
        let mixed = (head ^ tail.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed >> 58) as usize, 1 << (mixed >> 52 & 63))
    }
}

/// The literal's string; type checking has made it one.
fn text(value: &Literal) -> Box<str> {
    match value {
        Literal::VarChar(value) => value.clone(),
        Literal::Bool(_) | Literal::Int64(_) | Literal::Double(_) | Literal::Array(_) => "".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_columns_are_searched_as_rows_are() {
        let texts = ["", "ab", "xab", "a", "b", "abab", "xxxxxxxxxab", "", "ba", "é", "ab"];
        let array = StringArray::from(texts.to_vec());
        for start in 0..texts.len() {
            let slice = array.slice(start, texts.len() - start);
            for needle in ["ab", "a", "b", "x", "xxxxxxxxxab", "é", "q", "", "ba"] {
                let slow = rows(&slice, None, |value| value.contains(needle));
                assert_eq!(contains(&slice, &Finder::new(needle)), slow, "{needle} from {start}");
                let slow = rows(&slice, None, |value| value.starts_with(needle));
                assert_eq!(begins(&slice, needle, |len, want| len >= want, None), slow, "{needle}");
                let slow = rows(&slice, None, |value| value == needle);
                assert_eq!(begins(&slice, needle, |len, want| len == want, None), slow, "{needle}");
            }
        }
    }
}
