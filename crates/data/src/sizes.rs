//! How many bytes rows take in a column, read off its offsets.
//!
//! What is gathered at once is bounded by it, however unequal rows are, and outputs are cut by it.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType as ArrowType;

use crate::input::{InputColumn, Place};

/// The sizes of the rows of a column of several inputs.
#[derive(Clone, Debug)]
pub(crate) enum Sizes {
    /// Every row takes as many bytes.
    Fixed(u64),
    /// Strings or lists, those of each input.
    Lists(Vec<Lists>),
}

/// A column of strings or lists.
#[derive(Clone, Debug)]
pub(crate) struct Lists {
    offsets: OffsetBuffer<i32>,
    /// Whether every row is the first.
    same: bool,
    elements: Elements,
}

/// What the elements take.
#[derive(Clone, Debug)]
enum Elements {
    Bytes(u64),
    Texts(OffsetBuffer<i32>),
}

impl Sizes {
    /// Those of a column that is `inputs`, one for each input.
    pub(crate) fn new(inputs: &[InputColumn]) -> Self {
        let lists: Option<Vec<Lists>> = inputs.iter().map(Lists::new).collect();
        match (lists, inputs.first()) {
            (None, Some(input)) => Self::Fixed(width(input.array().data_type())),
            (lists, _) => Self::Lists(lists.unwrap_or_default()),
        }
    }

    /// Bytes of the row at `place`.
    pub(crate) fn bytes(&self, place: Place) -> u64 {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Lists(lists) => {
                lists.get(place.input as usize).map_or(0, |lists| lists.bytes(place.row as usize))
            }
        }
    }

    /// How much of what 32-bit offsets can say the row at `place` takes: its bytes of text or its
    /// elements.
    pub(crate) fn units(&self, place: Place) -> u64 {
        match self {
            Self::Fixed(_) => 0,
            Self::Lists(lists) => {
                lists.get(place.input as usize).map_or(0, |lists| lists.units(place.row as usize))
            }
        }
    }
}

impl Lists {
    fn new(input: &InputColumn) -> Option<Self> {
        let array = input.array();
        let (offsets, elements) = lists(array)?;
        Some(Self { offsets, same: matches!(input, InputColumn::Same(_)), elements })
    }

    fn range(&self, row: usize) -> (usize, usize) {
        let row = if self.same { 0 } else { row };
        let at = |row: usize| {
            self.offsets.get(row).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0)
        };
        (at(row), at(row + 1))
    }

    fn bytes(&self, row: usize) -> u64 {
        let (start, end) = self.range(row);
        let count = end.saturating_sub(start) as u64;
        4 + match &self.elements {
            Elements::Bytes(bytes) => count * bytes,
            Elements::Texts(_) => self.text_bytes(start, end) + 4 * count,
        }
    }

    fn units(&self, row: usize) -> u64 {
        let (start, end) = self.range(row);
        (end.saturating_sub(start) as u64).max(self.text_bytes(start, end))
    }

    fn text_bytes(&self, start: usize, end: usize) -> u64 {
        let Elements::Texts(offsets) = &self.elements else { return 0 };
        match (offsets.get(start), offsets.get(end)) {
            (Some(from), Some(to)) => u64::from((to - from).unsigned_abs()),
            _ => 0,
        }
    }
}

/// The offsets of `array` and what its elements take, if it is one of strings or lists.
fn lists(array: &ArrayRef) -> Option<(OffsetBuffer<i32>, Elements)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are of one width")]
    match array.data_type() {
        ArrowType::Utf8 => {
            Some((array.as_string_opt::<i32>()?.offsets().clone(), Elements::Bytes(1)))
        }
        ArrowType::Binary => {
            Some((array.as_binary_opt::<i32>()?.offsets().clone(), Elements::Bytes(1)))
        }
        ArrowType::List(_) => {
            let lists = array.as_list_opt::<i32>()?;
            let elements = match lists.values().as_string_opt::<i32>() {
                Some(texts) => Elements::Texts(texts.offsets().clone()),
                None => Elements::Bytes(width(lists.values().data_type())),
            };
            Some((lists.offsets().clone(), elements))
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
    use std::sync::Arc;

    use arrow::array::{FixedSizeBinaryArray, ListArray, StringArray};
    use milvus_types::columns::vector_element;

    use super::*;

    fn place(input: u32, row: u32) -> Place {
        Place { input, row }
    }

    #[test]
    fn rows_take_what_their_values_and_offsets_take() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["ä", "", "abc"]));
        let one: ArrayRef = Arc::new(StringArray::from(vec!["12345"]));
        // A slice: offsets do not begin at zero.
        let inputs = [InputColumn::Values(texts.slice(1, 2)), InputColumn::Same(Arc::clone(&one))];
        let sizes = Sizes::new(&inputs);
        let bytes = [place(0, 0), place(0, 1), place(1, 0), place(1, 99)];
        assert_eq!(bytes.map(|place| sizes.bytes(place)), [4, 7, 9, 9]);
        assert_eq!(bytes.map(|place| sizes.units(place)), [0, 3, 5, 5]);

        let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
        let element = vector_element(ArrowType::Utf8);
        let lists: ArrayRef = Arc::new(ListArray::new(element, offsets, texts, None));
        let sizes = Sizes::new(&[InputColumn::Values(lists)]);
        assert_eq!([0, 1, 2].map(|row| sizes.bytes(place(0, row))), [4 + 8 + 2, 4, 4 + 4 + 3]);
        assert_eq!([0, 1, 2].map(|row| sizes.units(place(0, row))), [2, 0, 3]);

        let fixed: ArrayRef =
            Arc::new(FixedSizeBinaryArray::try_from_iter([[1, 2]].iter()).unwrap());
        let sizes = Sizes::new(&[InputColumn::Values(fixed)]);
        assert_eq!((sizes.bytes(place(0, 0)), sizes.units(place(0, 0))), (2, 0));
    }
}
