//! Where one output ends and the next begins.
//!
//! Rows are cut into outputs of equally many bytes, as few as keep each within a tenth above the
//! target, so that the last one is no smaller than the others.
//! Cost: one pass over the rows, and none where there is one output.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType as ArrowType;

use super::write::{Column, Rows};

/// The most bytes or elements that one column of strings or lists should have: offsets are of 32
/// bits, and outputs of equally many bytes are not of equally many strings.
const COLUMN_UNITS: u64 = 1 << 30;

/// The ends of the outputs among the places of `rows`; at most `names`. None if there are no rows.
pub(crate) fn ends(rows: &Rows<'_>, target_bytes: u64, names: usize) -> Vec<usize> {
    let places = rows.places();
    if places.is_empty() {
        return Vec::new();
    }
    if names <= 1 {
        return vec![places.len()];
    }
    let sizes = Sizes::new(rows.columns());
    let mut total = 0_u64;
    let mut units = vec![0_u64; sizes.lists.len()];
    for place in places {
        let (input, row) = (place.input as usize, place.row as usize);
        total += sizes.row(input, row);
        for (units, list) in units.iter_mut().zip(&sizes.lists) {
            *units += list.0.get(input).map_or(0, |list| list.units(row));
        }
    }
    let most_units = units.into_iter().max().unwrap_or(0);
    let outputs = count(total, target_bytes).max(most_units.div_ceil(COLUMN_UNITS));
    let outputs = outputs.min(names as u64).min(places.len() as u64).max(1);
    let mut ends = Vec::new();
    let mut bytes = 0_u64;
    for (at, place) in places.iter().enumerate() {
        bytes += sizes.row(place.input as usize, place.row as usize);
        let done = ends.len() as u64 + 1;
        // Whatever rounding does, the last row is the end of the last output.
        if done < outputs
            && u128::from(bytes) * u128::from(outputs) >= u128::from(total) * u128::from(done)
        {
            ends.push(at + 1);
        }
    }
    if ends.last() != Some(&places.len()) {
        ends.push(places.len());
    }
    ends
}

/// Into how many outputs `total` bytes go.
fn count(total: u64, target_bytes: u64) -> u64 {
    let most = u128::from(target_bytes.max(1)) * 11;
    u64::try_from((u128::from(total) * 10).div_ceil(most)).unwrap_or(u64::MAX).max(1)
}

/// The bytes that rows take in their columns.
struct Sizes {
    /// Of the columns in which each row takes as many.
    fixed: u64,
    lists: Vec<ListColumn>,
}

/// A column of strings or lists: that of each input.
struct ListColumn(Vec<List>);

struct List {
    offsets: OffsetBuffer<i32>,
    /// Whether every row is the first.
    same: bool,
    inner: Element,
}

/// What the elements of lists take.
enum Element {
    Bytes(u64),
    Text(OffsetBuffer<i32>),
}

impl Sizes {
    fn new(columns: &[Column]) -> Self {
        let mut sizes = Self { fixed: 0, lists: Vec::new() };
        for column in columns {
            let lists: Option<Vec<List>> = column
                .inputs()
                .iter()
                .map(|input| {
                    let (array, _) = input.at(0);
                    let same = matches!(input, super::input::InputColumn::Same(_));
                    list(array).map(|(offsets, inner)| List { offsets, same, inner })
                })
                .collect();
            match (lists, column.inputs().first()) {
                (Some(lists), _) => sizes.lists.push(ListColumn(lists)),
                (None, Some(input)) => sizes.fixed += width(input.array().data_type()),
                (None, None) => {}
            }
        }
        sizes
    }

    fn row(&self, input: usize, row: usize) -> u64 {
        let lists = self.lists.iter().filter_map(|list| Some(list.0.get(input)?.bytes(row)));
        self.fixed + lists.sum::<u64>()
    }
}

impl List {
    fn range(&self, row: usize) -> (usize, usize) {
        let row = if self.same { 0 } else { row };
        let at = |row: usize| {
            self.offsets.get(row).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0)
        };
        (at(row), at(row + 1))
    }

    /// Bytes or elements of `row`.
    fn units(&self, row: usize) -> u64 {
        let (start, end) = self.range(row);
        end.saturating_sub(start) as u64
    }

    fn bytes(&self, row: usize) -> u64 {
        let (start, end) = self.range(row);
        let elements = end.saturating_sub(start) as u64;
        4 + match &self.inner {
            Element::Bytes(bytes) => elements * bytes,
            Element::Text(offsets) => match (offsets.get(start), offsets.get(end)) {
                (Some(from), Some(to)) => u64::from((to - from).unsigned_abs()) + 4 * elements,
                _ => 0,
            },
        }
    }
}

/// The offsets of `array` and what its elements take, if it is one of strings or lists.
fn list(array: &ArrayRef) -> Option<(OffsetBuffer<i32>, Element)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are of one width")]
    match array.data_type() {
        ArrowType::Utf8 => {
            Some((array.as_string_opt::<i32>()?.offsets().clone(), Element::Bytes(1)))
        }
        ArrowType::Binary => {
            Some((array.as_binary_opt::<i32>()?.offsets().clone(), Element::Bytes(1)))
        }
        ArrowType::List(_) => {
            let lists = array.as_list_opt::<i32>()?;
            let inner = match lists.values().as_string_opt::<i32>() {
                Some(texts) => Element::Text(texts.offsets().clone()),
                None => Element::Bytes(width(lists.values().data_type())),
            };
            Some((lists.offsets().clone(), inner))
        }
        _ => None,
    }
}

/// About how many bytes a value of `data_type`, of one width, takes.
fn width(data_type: &ArrowType) -> u64 {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are primitive")]
    match data_type {
        ArrowType::FixedSizeList(element, size) => {
            u64::from(size.unsigned_abs()) * width(element.data_type())
        }
        ArrowType::FixedSizeBinary(size) => u64::from(size.unsigned_abs()),
        primitive => primitive.primitive_width().unwrap_or(1) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_as_few_as_stay_within_a_tenth_above_the_target() {
        let cases = [(0, 1), (100, 1), (110, 1), (111, 2), (220, 2), (221, 3), (u64::MAX, 11)];
        for (total, want) in cases {
            let target = if total == u64::MAX { u64::MAX / 12 } else { 100 };
            assert_eq!(count(total, target), want, "{total}");
        }
        assert_eq!(count(7, 0), 7);
    }
}
