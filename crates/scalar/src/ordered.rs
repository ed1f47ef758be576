//! Indexes of keys in order: INVERTED, STL_SORT, TRIE, BITMAP, HYBRID.
//!
//! A condition is one or more ranges of keys, found by binary search; the rows of a range of keys
//! lie together. Where most rows satisfy a condition the others are taken away instead. A pattern
//! looks at the keys that begin as it does, each once, however many rows have it.
//!
//! Comparison of one element of an array is answered with the rows that have any such element.
//! Numbers of JSON have keys in double precision; where that rounds, answers are supersets.

use std::fmt;
use std::ops::Range;

use milvus_expr::{Answer, Bound, CompareOp, Condition, ContainsOp, Leaf, Literal, Matcher};
use milvus_types::FieldId;

use crate::container::Container;
use crate::error::OpenError;
use crate::index_type::ScalarIndexType;
use crate::keys::{Key, Keys, as_double, number_bytes, of_double};
use crate::postings::Postings;
use crate::row_set::RowSet;
use crate::scalar_index::{Base, ScalarIndex};
use crate::shape::{JsonCast, Shape, Value};
use crate::terms::successor;

/// The kind of a value in a flat index, as it stands in the key behind the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Bool = 1,
    Number = 2,
    Text = 3,
    ElementBool = 5,
    ElementNumber = 6,
    ElementText = 7,
}

impl Kind {
    /// The kind of the same value as an element of its array.
    pub(crate) fn of_element(self) -> Self {
        match self {
            Self::Bool | Self::ElementBool => Self::ElementBool,
            Self::Number | Self::ElementNumber => Self::ElementNumber,
            Self::Text | Self::ElementText => Self::ElementText,
        }
    }
}

/// Begins a step in the key of a flat index; greater than every [`Kind`].
const STEP: u8 = 0x10;

/// Adds `step` to the path of a flat index's key. A zero ends it, so that no step begins another.
pub(crate) fn push_step(key: &mut Vec<u8>, step: &str) {
    key.push(STEP);
    for byte in step.bytes() {
        match byte {
            0 => key.extend([1, 1]),
            1 => key.extend([1, 2]),
            byte => key.push(byte),
        }
    }
    key.push(0);
}

/// An index of ordered keys.
pub(crate) struct OrderedIndex {
    base: Base,
    keys: Keys,
    postings: Postings,
    /// Some JSON integers are not their keys exactly.
    inexact: bool,
}

/// Keys that satisfy a condition.
struct Selection {
    keys: Vec<Range<usize>>,
    exact: bool,
}

/// Where a constant stands among the keys.
struct Place {
    /// The keys of its kind.
    space: Range<usize>,
    /// The keys equal to it: one or none.
    equal: Range<usize>,
    /// Whether the constant and all keys of its kind stand for their values exactly.
    exact: bool,
}

impl Place {
    /// The keys that satisfy `op`; `!=` has its own way.
    fn keys(&self, op: CompareOp) -> Range<usize> {
        let Self { space, equal, exact } = self;
        match op {
            CompareOp::Less if *exact => space.start..equal.start,
            CompareOp::Less | CompareOp::LessEqual => space.start..equal.end,
            CompareOp::Greater if *exact => equal.end..space.end,
            CompareOp::Greater | CompareOp::GreaterEqual => equal.start..space.end,
            CompareOp::Equal | CompareOp::NotEqual => equal.clone(),
        }
    }
}

impl OrderedIndex {
    pub(crate) fn open(container: &Container, base: Base) -> Result<Self, OpenError> {
        let keys = Keys::open(container, &container.header)?;
        let is_text = matches!(keys, Keys::Terms(_));
        let wants_text = matches!(base.target.shape.value(), None | Some(Value::Text));
        if is_text != wants_text {
            return Err(OpenError::malformed("keys are not those of the field"));
        }
        let postings = Postings::open(container, keys.len(), base.rows)?;
        Ok(Self { base, keys, postings, inexact: container.header.flag("inexact") })
    }

    fn is_flat(&self) -> bool {
        self.base.target.shape == Shape::Json(JsonCast::Json)
    }

    /// The place of `literal` among the keys below `path` (of a flat index), as an element of an
    /// array or as a value. `None` if values that equal it may have no key.
    fn place(&self, path: &[u8], literal: &Literal, element: bool) -> Option<Place> {
        if self.is_flat() {
            return self.flat_place(path, literal, element);
        }
        let (key, exact) = match (self.base.target.shape.value()?, literal) {
            (Value::Bool, Literal::Bool(value)) => (Key::Number(i64::from(*value)), true),
            (Value::Int, Literal::Int64(value)) => (Key::Number(*value), true),
            (Value::Float, literal) => {
                let (key, exact) = self.number(literal, true)?;
                (Key::Number(key), exact)
            }
            (Value::Double, literal) => {
                let (key, exact) = self.number(literal, false)?;
                (Key::Number(key), exact)
            }
            (Value::Text, Literal::VarChar(text)) => (Key::Term(text.as_bytes().to_vec()), true),
            (Value::Bool | Value::Int | Value::Text, _) => return None,
        };
        Some(Place { space: 0..self.keys.len(), equal: self.keys.equal(&key)?, exact })
    }

    fn flat_place(&self, path: &[u8], literal: &Literal, element: bool) -> Option<Place> {
        let (kind, payload, exact) = match literal {
            Literal::Bool(value) => (Kind::Bool, vec![u8::from(*value)], true),
            Literal::Int64(_) | Literal::Double(_) => {
                let (key, exact) = self.number(literal, false)?;
                (Kind::Number, number_bytes(key).to_vec(), exact)
            }
            Literal::VarChar(text) => (Kind::Text, text.as_bytes().to_vec(), true),
            Literal::Array(_) => return None,
        };
        let kind = if element { kind.of_element() } else { kind };
        let mut key = [path, &[kind as u8]].concat();
        let space = self.keys.terms()?.with_prefix(&key);
        key.extend(payload);
        Some(Place { space, equal: self.keys.equal(&Key::Term(key))?, exact })
    }

    /// The key of a number, and whether order by keys is order by values.
    fn number(&self, literal: &Literal, single: bool) -> Option<(i64, bool)> {
        #[expect(clippy::cast_possible_truncation, reason = "as the column's values were")]
        let rounded = |value: f64| if single { f64::from(value as f32) } else { value };
        match literal {
            Literal::Double(value) => Some((of_double(rounded(*value))?, !self.inexact)),
            Literal::Int64(value) => {
                let (double, exact) = as_double(*value);
                Some((of_double(rounded(double))?, exact && !single && !self.inexact))
            }
            Literal::Bool(_) | Literal::VarChar(_) | Literal::Array(_) => None,
        }
    }

    fn compare(&self, path: &[u8], op: CompareOp, value: &Literal) -> Option<Selection> {
        let place = self.place(path, value, false)?;
        Some(Selection { keys: vec![place.keys(op)], exact: place.exact })
    }

    fn range(&self, path: &[u8], lower: &Bound, upper: &Bound) -> Option<Selection> {
        let op = |inclusive, or_equal, strict| if inclusive { or_equal } else { strict };
        let above = op(lower.inclusive, CompareOp::GreaterEqual, CompareOp::Greater);
        let below = op(upper.inclusive, CompareOp::LessEqual, CompareOp::Less);
        let low = self.place(path, &lower.value, false)?;
        let high = self.place(path, &upper.value, false)?;
        let (above, below) = (low.keys(above), high.keys(below));
        let keys = above.start.max(below.start)..above.end.min(below.end);
        Some(Selection {
            keys: if keys.is_empty() { Vec::new() } else { vec![keys] },
            exact: low.exact && high.exact,
        })
    }

    fn one_of(&self, path: &[u8], values: &[Literal], element: bool) -> Option<Selection> {
        let mut selection = Selection { keys: Vec::with_capacity(values.len()), exact: true };
        for value in values {
            let place = self.place(path, value, element)?;
            selection.keys.extend((!place.equal.is_empty()).then_some(place.equal));
            selection.exact &= place.exact;
        }
        selection.keys.sort_unstable_by_key(|keys| keys.start);
        selection.keys.dedup();
        Some(selection)
    }

    fn matches(&self, path: &[u8], pattern: &Matcher<'_>) -> Option<Selection> {
        let terms = self.keys.terms()?;
        let mut start = path.to_vec();
        if self.is_flat() {
            start.push(Kind::Text as u8);
        }
        let before = start.len();
        start.extend(pattern.prefix().as_bytes());
        let range = terms.with_prefix(&start);
        if pattern.is_prefix() {
            return Some(Selection { keys: vec![range], exact: true });
        }
        if let Some(exact) = pattern.exact() {
            start.truncate(before);
            start.extend(exact.as_bytes());
            let equal = self.keys.equal(&Key::Term(start))?;
            return Some(Selection { keys: vec![equal], exact: true });
        }
        // Strings that are all different are matched as fast where they lie.
        let is_column = matches!(self.base.target.shape, Shape::Column(_));
        if is_column && 2 * range.len() > self.base.rows {
            return None;
        }
        let mut keys: Vec<Range<usize>> = Vec::new();
        terms.for_each(range, |index, term| {
            let text = std::str::from_utf8(term.get(before..).unwrap_or_default());
            if text.is_ok_and(|text| pattern.matches(text)) {
                match keys.last_mut() {
                    Some(last) if last.end == index => last.end += 1,
                    _ => keys.push(index..index + 1),
                }
            }
            true
        });
        Some(Selection { keys, exact: true })
    }

    fn contains(&self, path: &[u8], op: ContainsOp, wanted: &[Literal]) -> Option<(RowSet, bool)> {
        if op != ContainsOp::All {
            let selection = self.one_of(path, wanted, true)?;
            return Some((self.rows_of(&selection.keys), selection.exact));
        }
        let (mut rows, mut all_exact) = (RowSet::all(self.base.rows), true);
        for element in wanted {
            let place = self.place(path, element, true)?;
            rows = rows.and(&self.rows_of(std::slice::from_ref(&place.equal)));
            all_exact &= place.exact;
        }
        Some((rows, all_exact))
    }

    /// The rows of `keys`, which ascend, do not overlap and have none empty but the only one.
    fn rows_of(&self, keys: &[Range<usize>]) -> RowSet {
        let listed: usize = keys.iter().map(|keys| self.postings.listed(keys)).sum();
        let is_most = 2 * listed > self.postings.all_listed();
        if is_most && !self.base.target.shape.is_multiple() && !self.postings.has_bitmaps() {
            let mut rows = self.base.keyed();
            let mut next = 0;
            for keys in keys {
                self.postings.remove(&(next..keys.start), &mut rows);
                next = keys.end;
            }
            self.postings.remove(&(next..self.keys.len()), &mut rows);
            return rows;
        }
        let mut rows = RowSet::none(self.base.rows);
        for keys in keys {
            self.postings.add(keys, &mut rows);
        }
        rows
    }

    /// Whether a pass over a column of numbers takes less time than to gather the rows of `keys`
    /// one by one: it does from about a fifth of all rows on.
    fn is_scan_cheaper(&self, keys: &[Range<usize>]) -> bool {
        let is_number = match self.base.target.shape {
            Shape::Column(value) => value != Value::Text,
            Shape::Elements(_) | Shape::Json(_) | Shape::Geometry => false,
        };
        if !is_number || self.postings.has_bitmaps() {
            return false;
        }
        let listed: usize = keys.iter().map(|keys| self.postings.listed(keys)).sum();
        let others = self.postings.all_listed().saturating_sub(listed);
        5 * listed.min(others) > self.base.rows
    }

    /// The condition of `leaf` on values (of a plain column, or at or below a JSON path).
    fn of_values(&self, leaf: &Leaf<'_>, path: &[u8]) -> Option<Answer> {
        let selection = match &leaf.condition {
            Condition::Compare { op, value } => {
                let selection = self.compare(path, *op, value)?;
                if *op == CompareOp::NotEqual {
                    let rows = selection.exact.then(|| self.rows_of(&selection.keys))?;
                    return Some(self.base.answer(leaf, rows, true, true));
                }
                selection
            }
            Condition::Range { lower, upper } => self.range(path, lower, upper)?,
            Condition::In(values) => self.one_of(path, values, false)?,
            Condition::Match(pattern) => self.matches(path, pattern)?,
            Condition::Contains { .. }
            | Condition::IsNull
            | Condition::Exists
            | Condition::Spatial(_) => return None,
        };
        if !matches!(leaf.condition, Condition::In(_)) && self.is_scan_cheaper(&selection.keys) {
            return None;
        }
        let rows = self.rows_of(&selection.keys);
        Some(self.base.answer(leaf, rows, false, selection.exact))
    }

    /// The condition of `leaf` on one element of an array: the rows that have any such element.
    fn of_element(&self, leaf: &Leaf<'_>, shape: Value) -> Option<Answer> {
        let selection = match &leaf.condition {
            Condition::Compare { op: CompareOp::NotEqual, value } => {
                // NaN differs from every constant and has no key.
                if matches!(shape, Value::Float | Value::Double) {
                    return None;
                }
                let Place { space, equal, .. } = self.place(&[], value, false)?;
                vec![space.start..equal.start, equal.end..space.end]
            }
            Condition::Compare { op, value } => self.compare(&[], *op, value)?.keys,
            Condition::Range { lower, upper } => self.range(&[], lower, upper)?.keys,
            Condition::In(values) => self.one_of(&[], values, false)?.keys,
            Condition::Match(pattern) => self.matches(&[], pattern)?.keys,
            Condition::Contains { .. }
            | Condition::IsNull
            | Condition::Exists
            | Condition::Spatial(_) => return None,
        };
        Some(self.base.answer(leaf, self.rows_of(&selection), false, false))
    }

    fn of_json(&self, leaf: &Leaf<'_>, cast: JsonCast, rest: &[Box<str>]) -> Option<Answer> {
        let mut path = Vec::new();
        if cast == JsonCast::Json {
            for step in rest {
                // `01` is a place in an array and a name of its own in an object.
                if step.parse::<usize>().is_ok_and(|index| index.to_string() != **step) {
                    return None;
                }
                push_step(&mut path, step);
            }
        } else if !rest.is_empty() {
            return None;
        }
        match &leaf.condition {
            Condition::Exists if rest.is_empty() => {
                Some(self.base.answer(leaf, self.base.present()?, false, true))
            }
            Condition::Exists => {
                let low = self.keys.equal(&Key::Term(path.clone()))?.start;
                let high = self.keys.equal(&Key::Term(successor(&path)?))?.start;
                let below = low..high.max(low);
                let rows = self.rows_of(std::slice::from_ref(&below));
                Some(self.base.answer(leaf, rows, false, true))
            }
            Condition::Contains { op, elements } if cast.is_array() || cast == JsonCast::Json => {
                let (rows, exact) = self.contains(&path, *op, elements)?;
                Some(self.base.answer(leaf, rows, false, exact))
            }
            Condition::Compare { .. }
            | Condition::Range { .. }
            | Condition::In(_)
            | Condition::Match(_)
                if !cast.is_array() =>
            {
                self.of_values(leaf, &path)
            }
            Condition::Compare { .. }
            | Condition::Range { .. }
            | Condition::In(_)
            | Condition::Match(_)
            | Condition::Contains { .. }
            | Condition::IsNull
            | Condition::Spatial(_) => None,
        }
    }
}

impl ScalarIndex for OrderedIndex {
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
        self.base.bytes() + self.keys.bytes() + self.postings.bytes()
    }

    fn answer(&self, leaf: &Leaf<'_>) -> Option<Answer> {
        if matches!(leaf.condition, Condition::IsNull) {
            let whole = leaf.field == self.field() && leaf.path.is_empty() && !leaf.is_dynamic;
            return whole.then(|| self.base.is_null());
        }
        let rest = self.base.target.rest(leaf)?;
        match (self.base.target.shape, &leaf.condition) {
            (Shape::Column(_), _) if rest.is_empty() => self.of_values(leaf, &[]),
            (Shape::Elements(_), Condition::Contains { op, elements }) if rest.is_empty() => {
                let (rows, exact) = self.contains(&[], *op, elements)?;
                Some(self.base.answer(leaf, rows, false, exact))
            }
            (Shape::Elements(value), _) if rest.len() == 1 => self.of_element(leaf, value),
            (Shape::Json(cast), _) => self.of_json(leaf, cast, rest),
            (Shape::Column(_) | Shape::Elements(_) | Shape::Geometry, _) => None,
        }
    }
}

impl fmt::Debug for OrderedIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderedIndex")
            .field("index_type", &self.base.index_type)
            .field("target", &self.base.target)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}
