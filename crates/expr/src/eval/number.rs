//! Tests of integer and floating-point columns.
//!
//! Comparisons of integers are intervals, clamped to the column's width so that the loop runs in
//! that width. A Float column is compared, and computed with, in single precision as Milvus does:
//! `f == 0.1` is true of a stored 0.1.

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use milvus_types::DataType;
use rustc_hash::FxHashSet;

use crate::ast::{ArithOp, CompareOp};
use crate::error::EvaluateError;
use crate::literal::Literal;

use super::Test;
use super::bits::Bits;
use super::columns::Source;

/// Up to so many values are compared one after the other.
const FEW: usize = 8;
/// Up to so many bits a set of integers is a bitmap.
const BITMAP_BITS: u64 = 1 << 20;

/// A test of integers.
#[derive(Debug)]
pub(super) enum IntTest {
    /// `low <= x <= high`, or outside of it; empty if `low > high`.
    Interval {
        low: i64,
        high: i64,
        outside: bool,
    },
    Few(Vec<i64>),
    /// Bit `x - base`.
    Bitmap {
        base: i64,
        words: Vec<u64>,
    },
    Hashed(FxHashSet<i64>),
    Arith {
        arith: ArithOp,
        operand: i64,
        op: CompareOp,
        value: i64,
    },
}

impl IntTest {
    pub(super) fn new(test: &Test<'_>) -> Self {
        match test {
            Test::Compare(op, value) => Self::compare(*op, integer(value)),
            Test::Range(lower, upper) => {
                let (low, high) = (integer(&lower.value), integer(&upper.value));
                let low = if lower.inclusive { Some(low) } else { low.checked_add(1) };
                let high = if upper.inclusive { Some(high) } else { high.checked_sub(1) };
                Self::interval(low, high)
            }
            Test::Term(values) => Self::one_of(values.iter().map(integer).collect()),
        }
    }

    fn compare(op: CompareOp, value: i64) -> Self {
        match op {
            CompareOp::Less => Self::interval(Some(i64::MIN), value.checked_sub(1)),
            CompareOp::LessEqual => Self::interval(Some(i64::MIN), Some(value)),
            CompareOp::Greater => Self::interval(value.checked_add(1), Some(i64::MAX)),
            CompareOp::GreaterEqual => Self::interval(Some(value), Some(i64::MAX)),
            CompareOp::Equal => Self::interval(Some(value), Some(value)),
            CompareOp::NotEqual => Self::Interval { low: value, high: value, outside: true },
        }
    }

    fn interval(low: Option<i64>, high: Option<i64>) -> Self {
        let (low, high) = low.zip(high).unwrap_or((1, 0));
        Self::Interval { low, high, outside: false }
    }

    fn one_of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        values.dedup();
        let (Some(&low), Some(&high)) = (values.first(), values.last()) else {
            return Self::interval(None, None);
        };
        let span = high.abs_diff(low);
        if span == values.len() as u64 - 1 {
            return Self::interval(Some(low), Some(high));
        }
        if values.len() <= FEW {
            return Self::Few(values);
        }
        if span >= BITMAP_BITS {
            return Self::Hashed(values.into_iter().collect());
        }
        #[expect(clippy::cast_possible_truncation, reason = "the span was just bounded")]
        let mut words = vec![0u64; (span / 64 + 1) as usize];
        for value in values {
            let bit = value.abs_diff(low);
            if let Some(word) =
                usize::try_from(bit / 64).ok().and_then(|index| words.get_mut(index))
            {
                *word |= 1 << (bit % 64);
            }
        }
        Self::Bitmap { base: low, words }
    }

    pub(super) fn arith(arith: ArithOp, operand: &Literal, op: CompareOp, value: &Literal) -> Self {
        Self::Arith { arith, operand: integer(operand), op, value: integer(value) }
    }

    pub(super) fn bits(&self, source: &Source, array: &ArrayRef) -> Result<Bits, EvaluateError> {
        match source.data_type {
            DataType::Int8 => self.bits_of::<Int8Type>(source, array),
            DataType::Int16 => self.bits_of::<Int16Type>(source, array),
            DataType::Int32 => self.bits_of::<Int32Type>(source, array),
            DataType::Timestamptz => self.bits_of::<TimestampMicrosecondType>(source, array),
            _ => self.bits_of::<Int64Type>(source, array),
        }
    }

    fn bits_of<A: ArrowPrimitiveType>(
        &self,
        source: &Source,
        array: &ArrayRef,
    ) -> Result<Bits, EvaluateError>
    where
        A::Native: Into<i64> + TryFrom<i64> + PartialOrd + Bounds,
    {
        let array = array.as_primitive_opt::<A>().ok_or_else(|| source.mismatch(array))?;
        Ok(self.bits_in(array.values()))
    }

    fn bits_in<T>(&self, values: &[T]) -> Bits
    where
        T: Copy + Into<i64> + TryFrom<i64> + PartialOrd + Bounds,
    {
        match self {
            Self::Interval { low, high, outside } => {
                let Some((low, high)) = clamp::<T>(*low, *high) else {
                    return Bits::filled(values.len(), *outside);
                };
                if *outside {
                    Bits::of_values(values, |x| (x < low) | (x > high))
                } else {
                    Bits::of_values(values, |x| (x >= low) & (x <= high))
                }
            }
            Self::Few(few) => {
                let few: Vec<T> = few.iter().filter_map(|x| T::try_from(*x).ok()).collect();
                Bits::of_values(values, |x| few.iter().fold(false, |found, y| found | (x == *y)))
            }
            Self::Bitmap { base, words } => Bits::of_values(values, |x| {
                let bit = x.into().wrapping_sub(*base).cast_unsigned();
                let word = usize::try_from(bit / 64).ok().and_then(|index| words.get(index));
                word.is_some_and(|word| word >> (bit % 64) & 1 == 1)
            }),
            Self::Hashed(set) => Bits::of_values(values, |x| set.contains(&x.into())),
            Self::Arith { arith, operand, op, value } => {
                arith_bits(values, *arith, *operand, *op, *value)
            }
        }
    }
}

/// The ends of an integer type.
trait Bounds {
    const LOWEST: Self;
    const HIGHEST: Self;
}

macro_rules! bounds {
    ($($integer:ty)*) => {
        $(impl Bounds for $integer {
            const LOWEST: Self = Self::MIN;
            const HIGHEST: Self = Self::MAX;
        })*
    };
}

bounds!(i8 i16 i32 i64);

/// The part of `low..=high` that a `T` can have, `None` if there is none.
fn clamp<T: Into<i64> + TryFrom<i64> + Bounds>(low: i64, high: i64) -> Option<(T, T)> {
    let low = low.max(T::LOWEST.into());
    let high = high.min(T::HIGHEST.into());
    if low > high {
        return None;
    }
    Some((T::try_from(low).ok()?, T::try_from(high).ok()?))
}

fn arith_bits<T: Copy + Into<i64>>(
    values: &[T],
    arith: ArithOp,
    operand: i64,
    op: CompareOp,
    value: i64,
) -> Bits {
    match arith {
        ArithOp::Add => compare_bits(values, |x| x.into().wrapping_add(operand), op, value),
        ArithOp::Subtract => compare_bits(values, |x| x.into().wrapping_sub(operand), op, value),
        ArithOp::Multiply => compare_bits(values, |x| x.into().wrapping_mul(operand), op, value),
        ArithOp::Divide => compare_bits(values, |x| divide(x.into(), operand), op, value),
        ArithOp::Modulo => compare_bits(values, |x| modulo(x.into(), operand), op, value),
    }
}

/// `x / y` as hardware would have it; the planner refuses a divisor of zero.
pub(super) fn divide(x: i64, y: i64) -> i64 {
    if y == 0 { 0 } else { x.wrapping_div(y) }
}

/// `x % y`, likewise.
pub(super) fn modulo(x: i64, y: i64) -> i64 {
    if y == 0 { 0 } else { x.wrapping_rem(y) }
}

/// One loop for each operator, so that none branches on it.
fn compare_bits<T: Copy, V: Copy + PartialOrd>(
    values: &[T],
    of: impl Fn(T) -> V,
    op: CompareOp,
    value: V,
) -> Bits {
    match op {
        CompareOp::Less => Bits::of_values(values, |x| of(x) < value),
        CompareOp::LessEqual => Bits::of_values(values, |x| of(x) <= value),
        CompareOp::Greater => Bits::of_values(values, |x| of(x) > value),
        CompareOp::GreaterEqual => Bits::of_values(values, |x| of(x) >= value),
        CompareOp::Equal => Bits::of_values(values, |x| of(x) == value),
        CompareOp::NotEqual => Bits::of_values(values, |x| of(x) != value),
    }
}

/// A test of floating-point numbers.
#[derive(Debug)]
pub(super) enum FloatTest {
    Compare(CompareOp, f64),
    Range { low: f64, low_inclusive: bool, high: f64, high_inclusive: bool },
    OneOf(Vec<f64>),
    Arith { arith: ArithOp, operand: f64, op: CompareOp, value: f64 },
}

impl FloatTest {
    pub(super) fn new(test: &Test<'_>) -> Self {
        match test {
            Test::Compare(op, value) => Self::Compare(*op, floating(value)),
            Test::Range(lower, upper) => Self::Range {
                low: floating(&lower.value),
                low_inclusive: lower.inclusive,
                high: floating(&upper.value),
                high_inclusive: upper.inclusive,
            },
            Test::Term(values) => Self::OneOf(values.iter().map(floating).collect()),
        }
    }

    pub(super) fn arith(arith: ArithOp, operand: &Literal, op: CompareOp, value: &Literal) -> Self {
        Self::Arith { arith, operand: floating(operand), op, value: floating(value) }
    }

    pub(super) fn bits(&self, source: &Source, array: &ArrayRef) -> Result<Bits, EvaluateError> {
        let mismatch = || source.mismatch(array);
        Ok(if source.data_type == DataType::Float {
            let floats = array.as_primitive_opt::<Float32Type>().ok_or_else(mismatch)?;
            #[expect(clippy::cast_possible_truncation, reason = "single precision is meant")]
            self.bits_in(floats.values(), |value| value as f32)
        } else {
            let doubles = array.as_primitive_opt::<Float64Type>().ok_or_else(mismatch)?;
            self.bits_in(doubles.values(), |value| value)
        })
    }

    fn bits_in<T>(&self, values: &[T], constant: impl Fn(f64) -> T) -> Bits
    where
        T: Float,
    {
        match self {
            Self::Compare(op, value) => compare_bits(values, |x| x, *op, constant(*value)),
            Self::Range { low, low_inclusive, high, high_inclusive } => {
                let (low, high) = (constant(*low), constant(*high));
                match (low_inclusive, high_inclusive) {
                    (true, true) => Bits::of_values(values, |x| (x >= low) & (x <= high)),
                    (true, false) => Bits::of_values(values, |x| (x >= low) & (x < high)),
                    (false, true) => Bits::of_values(values, |x| (x > low) & (x <= high)),
                    (false, false) => Bits::of_values(values, |x| (x > low) & (x < high)),
                }
            }
            Self::OneOf(few) if few.len() <= FEW => {
                let few: Vec<T> = few.iter().map(|x| constant(*x)).collect();
                Bits::of_values(values, |x| few.iter().fold(false, |found, y| found | (x == *y)))
            }
            Self::OneOf(many) => {
                let set: FxHashSet<u64> =
                    many.iter().map(|x| constant(*x)).filter(|x| !x.is_nan()).map(T::key).collect();
                Bits::of_values(values, |x| set.contains(&x.key()))
            }
            Self::Arith { arith, operand, op, value } => {
                let (y, value) = (constant(*operand), constant(*value));
                match arith {
                    ArithOp::Add => compare_bits(values, |x| x + y, *op, value),
                    ArithOp::Subtract => compare_bits(values, |x| x - y, *op, value),
                    ArithOp::Multiply => compare_bits(values, |x| x * y, *op, value),
                    ArithOp::Divide => compare_bits(values, |x| x / y, *op, value),
                    ArithOp::Modulo => compare_bits(values, |x| x % y, *op, value),
                }
            }
        }
    }
}

/// The two floating-point types.
trait Float:
    Copy
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Rem<Output = Self>
{
    /// Bits that are equal where numbers are.
    fn key(self) -> u64;

    fn is_nan(&self) -> bool;
}

impl Float for f32 {
    fn key(self) -> u64 {
        u64::from((self + 0.0).to_bits())
    }

    fn is_nan(&self) -> bool {
        f32::is_nan(*self)
    }
}

impl Float for f64 {
    fn key(self) -> u64 {
        (self + 0.0).to_bits()
    }

    fn is_nan(&self) -> bool {
        f64::is_nan(*self)
    }
}

/// The literal as an integer; type checking has made it one.
pub(super) fn integer(value: &Literal) -> i64 {
    match value {
        Literal::Int64(value) => *value,
        Literal::Bool(_) | Literal::Double(_) | Literal::VarChar(_) | Literal::Array(_) => 0,
    }
}

fn floating(value: &Literal) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}
