//! Statistics of a segment's columns: enough to say that a condition holds for none of its rows.

use crate::ids::FieldId;

/// The most bytes that a bound of strings keeps.
const TEXT_BYTES: usize = 64;

/// What is known of the values of one scalar field in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldStats {
    /// The field.
    pub field_id: FieldId,
    /// How many rows there are, those without a value included.
    pub rows: u64,
    /// How many rows have no value.
    pub nulls: u64,
    /// Between what the values lie; `None` if nothing is known or no row has a value.
    pub range: Option<ValueRange>,
}

/// Bounds of values, both inclusive. There may be no value at the bound itself.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueRange {
    /// Of booleans (0 and 1), integers, and times in microseconds since the epoch.
    Int {
        /// No value is smaller.
        min: i64,
        /// No value is larger.
        max: i64,
    },
    /// Of floating numbers. None of them is NaN, nor is a bound.
    Float {
        /// No value is smaller.
        min: f64,
        /// No value is larger.
        max: f64,
    },
    /// Of strings, in the order of their bytes.
    Text {
        /// No value is smaller.
        min: Box<str>,
        /// No value is larger; `None` if there is no short bound.
        max: Option<Box<str>>,
    },
}

/// Bounds are never NaN.
impl Eq for ValueRange {}

impl ValueRange {
    /// The range of strings from `min` to `max`, in bounds of at most 64 bytes: the lower one cut, the
    /// upper one cut and rounded up.
    pub fn text(min: &str, max: &str) -> Self {
        let max = match max.len() <= TEXT_BYTES {
            true => Some(max.into()),
            false => rounded_up(cut(max)),
        };
        Self::Text { min: cut(min).into(), max }
    }
}

/// The longest beginning of `text` that keeps whole characters within the limit.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES)).unwrap_or_default()
}

/// The smallest string of at most as many characters that is larger than everything that begins with
/// `prefix`.
fn rounded_up(prefix: &str) -> Option<Box<str>> {
    let mut rest = prefix.chars();
    while let Some(last) = rest.next_back() {
        // The range of characters leaves out the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            let mut bound = rest.as_str().to_owned();
            bound.push(next);
            return Some(bound.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(min: &str, max: &str) -> (String, Option<String>) {
        let ValueRange::Text { min, max } = ValueRange::text(min, max) else {
            panic!("bounds of strings are strings");
        };
        (min.into(), max.map(String::from))
    }

    #[test]
    fn short_strings_are_their_own_bounds() {
        assert_eq!(bounds("", "zebra"), (String::new(), Some("zebra".to_owned())));
    }

    #[test]
    fn long_strings_are_cut_outwards_at_whole_characters() {
        let (min, max) = bounds(&"a".repeat(100), &"b".repeat(100));
        assert_eq!((min.len(), max), (64, Some("b".repeat(63) + "c")));
        // 63 bytes and a character of two: that character is left out whole.
        let odd = "x".repeat(63) + "ä" + &"y".repeat(9);
        let (min, max) = bounds(&odd, &odd);
        assert_eq!((min.as_str(), max), (&odd[..63], Some("x".repeat(62) + "y")));
    }

    #[test]
    fn a_character_without_successor_is_left_out_and_the_surrogates_are_passed_over() {
        let last = char::MAX.to_string();
        assert_eq!(bounds("", &("k".to_owned() + &last.repeat(40))).1, Some("l".to_owned()));
        assert_eq!(bounds("", &last.repeat(40)).1, None);
        let before = "\u{d7ff}".repeat(40);
        assert_eq!(bounds("", &before).1, Some("\u{d7ff}".repeat(20) + "\u{e000}"));
    }
}
