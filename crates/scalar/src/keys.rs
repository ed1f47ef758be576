//! The keys of an ordered index: its distinct values in ascending order, each by its number.
//!
//! Booleans are 0 and 1, timestamps microseconds. Floating-point numbers are integers that stand in
//! the same order ([`of_double`]), so that one search serves all numbers; NaN has no key.

use std::ops::Range;

use crate::container::{Container, Header, Part, part};
use crate::error::OpenError;
use crate::section::Section;
use crate::terms::{Terms, TermsBuilder, View, partition};

const NUMBERS: [u8; 8] = *b"numbers ";

/// The keys of an index.
pub(crate) enum Keys {
    Numbers(Section<i64>),
    Terms(Terms),
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Number(i64),
    Term(Vec<u8>),
}

/// Keys to be written, in ascending order.
#[derive(Debug)]
pub(crate) enum KeysBuilder {
    Numbers(Vec<i64>),
    Terms(TermsBuilder),
}

impl KeysBuilder {
    pub(crate) fn parts(self) -> Vec<Part> {
        match self {
            Self::Numbers(numbers) => vec![part(NUMBERS, &numbers)],
            Self::Terms(terms) => terms.parts().into(),
        }
    }
}

impl Keys {
    pub(crate) fn open(container: &Container, header: &Header) -> Result<Self, OpenError> {
        let count = header.number("keys")?;
        match header.text("key_form")? {
            "number" => {
                let numbers: Section<i64> = container.exactly(NUMBERS, count)?;
                if !numbers.as_slice().is_sorted_by(|a, b| a < b) {
                    return Err(OpenError::malformed("numbers are out of order"));
                }
                Ok(Self::Numbers(numbers))
            }
            "plain" => Ok(Self::Terms(Terms::open(container, count, false)?)),
            "front-coded" => Ok(Self::Terms(Terms::open(container, count, true)?)),
            other => Err(OpenError::malformed(format!("key form {other} is unknown"))),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Numbers(numbers) => numbers.bytes(),
            Self::Terms(terms) => terms.bytes(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Terms(terms) => terms.view().len(),
        }
    }

    /// The dictionary, if keys are strings.
    pub(crate) fn terms(&self) -> Option<View<'_>> {
        match self {
            Self::Numbers(_) => None,
            Self::Terms(terms) => Some(terms.view()),
        }
    }

    /// The keys equal to `key`: one or none. It begins where the keys not less than `key` begin.
    pub(crate) fn equal(&self, key: &Key) -> Option<Range<usize>> {
        let (at, found) = match (self, key) {
            (Self::Numbers(numbers), Key::Number(key)) => {
                let numbers = numbers.as_slice();
                let at = partition(numbers.len(), |index| numbers.get(index) < Some(key));
                (at, numbers.get(at) == Some(key))
            }
            (Self::Terms(terms), Key::Term(key)) => terms.view().find(key),
            (Self::Numbers(_), Key::Term(_)) | (Self::Terms(_), Key::Number(_)) => return None,
        };
        Some(at..at + usize::from(found))
    }
}

/// The key of `value`; NaN has none. Both zeros are one.
pub(crate) fn of_double(value: f64) -> Option<i64> {
    if value.is_nan() {
        return None;
    }
    let bits = (value + 0.0).to_bits().cast_signed();
    Some(if bits < 0 { bits ^ i64::MAX } else { bits })
}

/// `value` in double precision, and whether that is exact.
pub(crate) fn as_double(value: i64) -> (f64, bool) {
    let magnitude = value.unsigned_abs();
    // Zero has no digit at all.
    let digits = u64::BITS.saturating_sub(magnitude.leading_zeros() + magnitude.trailing_zeros());
    (value as f64, digits <= f64::MANTISSA_DIGITS)
}

/// The bytes of a number's key, which compare as the number does.
pub(crate) fn number_bytes(key: i64) -> [u8; 8] {
    (key ^ i64::MIN).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_keep_their_order() {
        let values =
            [f64::NEG_INFINITY, -2.5, -1e-300, -0.0, 1e-300, 0.1, 7.0, 1e300, f64::INFINITY];
        let keys: Vec<i64> = values.iter().map(|value| of_double(*value).unwrap()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert_eq!(of_double(-0.0), of_double(0.0));
        assert_eq!(of_double(f64::NAN), None);
        for (value, exact) in [
            (0, true),
            (i64::MIN, true),
            (i64::MAX, false),
            (1 << 53, true),
            ((1 << 53) + 1, false),
            (-((1 << 53) + 2), true),
        ] {
            assert_eq!(as_double(value), (value as f64, exact));
        }
        let bytes: Vec<_> = keys.iter().map(|key| number_bytes(*key)).collect();
        assert!(bytes.is_sorted_by(|a, b| a < b));
    }
}
