//! RTREE: which geometries may satisfy a spatial condition, by their envelopes.
//!
//! Envelopes lie along a Hilbert curve through their centres, [`FAN`] of them to a node, as many
//! nodes to a node of the next level, up to one root. A level's boxes follow those of the level
//! below, so that the entries below any node are one slice. Rows found are candidates, to be
//! verified against the column; empty geometries are in no box.

use std::fmt;

use arrow::array::AsArray;
use milvus_expr::{Answer, Condition, Leaf};
use milvus_types::{FieldId, KeyValue};
use milvus_values::geometry::envelope;

use crate::build::Input;
use crate::container::{Container, Part, part};
use crate::error::{BuildError, OpenError};
use crate::index_type::ScalarIndexType;
use crate::row_set::RowSet;
use crate::scalar_index::{Base, ScalarIndex};
use crate::section::Section;
use crate::shape::Shape;

/// Boxes of a node.
const FAN: usize = 16;
/// Minimum x, minimum y, maximum x, maximum y of each box, level by level from the entries up.
const BOXES: [u8; 8] = *b"boxes   ";
/// The row of each entry.
const ROWS: [u8; 8] = *b"brows   ";

type Box4 = [f64; 4];

pub(crate) fn build(
    input: &Input<'_>,
    params: &mut Vec<KeyValue>,
    parts: &mut Vec<Part>,
) -> Result<(), BuildError> {
    let mut entries: Vec<(Box4, u32)> = Vec::with_capacity(input.rows);
    input.for_each_row(|chunk, index, row| {
        let bytes = chunk.as_binary_opt::<i32>().ok_or_else(|| input.mismatch(chunk))?;
        if let Some(around) = envelope(bytes.value(index)) {
            entries.push((around, row));
        }
        Ok(())
    })?;
    let all = entries.iter().fold(NOWHERE, |all, (other, _)| joined(&all, other));
    entries.sort_by_cached_key(|(around, row)| (along_curve(around, &all), *row));
    let mut boxes: Vec<Box4> = entries.iter().map(|(around, _)| *around).collect();
    let mut level = 0;
    while boxes.len() - level > 1 {
        let below = level..boxes.len();
        level = boxes.len();
        for start in below.clone().step_by(FAN) {
            let children = boxes.get(start..below.end.min(start + FAN)).unwrap_or_default();
            let node = children.iter().fold(NOWHERE, |all, other| joined(&all, other));
            boxes.push(node);
        }
    }
    let rows: Vec<u32> = entries.iter().map(|(_, row)| *row).collect();
    params.push(KeyValue::new("entries", rows.len().to_string()));
    parts.extend([part(BOXES, boxes.as_flattened()), part(ROWS, &rows)]);
    Ok(())
}

/// The box around nothing.
const NOWHERE: Box4 = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];

fn joined(a: &Box4, b: &Box4) -> Box4 {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

/// Whether two boxes have a point in common, their edges included.
fn meet(a: &Box4, b: &Box4) -> bool {
    a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3]
}

/// Whether `inner` lies within `outer`.
fn within(inner: &Box4, outer: &Box4) -> bool {
    inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3]
}

/// How far along the Hilbert curve through `all` the centre of `around` lies.
fn along_curve(around: &Box4, all: &Box4) -> u32 {
    let cell = |low: f64, high: f64, from: f64, to: f64| {
        let part = ((low / 2.0 + high / 2.0) - from) / (to - from);
        #[expect(clippy::cast_possible_truncation, reason = "in range, or saturated")]
        #[expect(clippy::cast_sign_loss, reason = "in range, or saturated")]
        let cell = (part * 65_535.0) as u32;
        cell.min(65_535)
    };
    let mut x = cell(around[0], around[2], all[0], all[2]);
    let mut y = cell(around[1], around[3], all[1], all[3]);
    let mut distance = 0u32;
    for bit in (0..16).rev() {
        let (right, up) = (x >> bit & 1, y >> bit & 1);
        distance = distance << 2 | (3 * right) ^ up;
        if up == 0 {
            if right == 1 {
                (x, y) = (!x & 0xffff, !y & 0xffff);
            }
            (x, y) = (y, x);
        }
    }
    distance
}

/// Where the boxes of each level begin, from the entries up to the root; and how many there are.
fn levels(entries: usize) -> (Vec<(usize, usize)>, usize) {
    let (mut levels, mut start, mut count) = (Vec::new(), 0, entries);
    while count > 0 {
        levels.push((start, count));
        start += count;
        if count == 1 {
            break;
        }
        count = count.div_ceil(FAN);
    }
    (levels, start)
}

/// An index of envelopes.
pub(crate) struct RtreeIndex {
    base: Base,
    boxes: Section<f64>,
    rows: Section<u32>,
    levels: Vec<(usize, usize)>,
}

impl RtreeIndex {
    pub(crate) fn open(container: &Container, base: Base) -> Result<Self, OpenError> {
        let entries = container.header.number("entries")?;
        if base.target.shape != Shape::Geometry || entries > base.rows {
            return Err(OpenError::malformed("envelopes are not those of geometries"));
        }
        let (levels, boxes) = levels(entries);
        let rows: Section<u32> = container.exactly(ROWS, entries)?;
        if rows.as_slice().iter().any(|row| *row as usize >= base.rows) {
            return Err(OpenError::malformed("a row number is too great"));
        }
        Ok(Self { boxes: container.exactly(BOXES, 4 * boxes)?, rows, levels, base })
    }

    /// Adds to `set` the rows whose envelopes meet `wanted`.
    fn meeting(&self, wanted: &Box4, set: &mut RowSet) {
        let (boxes, rows) = (self.boxes.as_slice().as_chunks::<4>().0, self.rows.as_slice());
        let Some(top) = self.levels.len().checked_sub(1) else {
            return;
        };
        let mut open = vec![(top, 0)];
        while let Some((level, index)) = open.pop() {
            let Some(&(start, _)) = self.levels.get(level) else { continue };
            let Some(around) = boxes.get(start + index).filter(|around| meet(around, wanted))
            else {
                continue;
            };
            if level == 0 || within(around, wanted) {
                let span = FAN.saturating_pow(u32::try_from(level).unwrap_or(u32::MAX));
                let first = index.saturating_mul(span).min(rows.len());
                let end = first.saturating_add(span).min(rows.len());
                set.insert_all(rows.get(first..end).unwrap_or_default());
                continue;
            }
            let below = self.levels.get(level - 1).map_or(0, |(_, count)| *count);
            let children = index * FAN..below.min((index + 1) * FAN);
            open.extend(children.map(|child| (level - 1, child)));
        }
    }
}

impl ScalarIndex for RtreeIndex {
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
        self.base.bytes() + self.boxes.bytes() + self.rows.bytes()
    }

    fn answer(&self, leaf: &Leaf<'_>) -> Option<Answer> {
        if leaf.field != self.field() || !leaf.path.is_empty() {
            return None;
        }
        match &leaf.condition {
            Condition::IsNull => Some(self.base.is_null()),
            Condition::Spatial(extent) => {
                let mut rows = RowSet::none(self.base.rows);
                for wanted in &extent.rectangles {
                    self.meeting(wanted, &mut rows);
                }
                let exact = rows.is_empty();
                Some(self.base.answer(leaf, rows, false, exact))
            }
            Condition::Compare { .. }
            | Condition::Range { .. }
            | Condition::In(_)
            | Condition::Match(_)
            | Condition::Contains { .. }
            | Condition::Exists => None,
        }
    }
}

impl fmt::Debug for RtreeIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtreeIndex")
            .field("target", &self.base.target)
            .field("entries", &self.rows.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_visits_neighbours() {
        let all = [0.0, 0.0, 65_535.0, 65_535.0];
        let mut cells: Vec<(u32, (i32, i32))> = Vec::new();
        for x in 0..16 {
            for y in 0..16 {
                let point = |at: i32| f64::from(at * 4096 + 2048);
                let around = [point(x), point(y), point(x), point(y)];
                cells.push((along_curve(&around, &all), (x, y)));
            }
        }
        cells.sort_unstable();
        for pair in cells.windows(2) {
            let (a, b) = (pair[0].1, pair[1].1);
            assert_eq!((a.0 - b.0).abs() + (a.1 - b.1).abs(), 1, "{a:?} to {b:?}");
        }
    }

    #[test]
    fn levels_end_with_one_root() {
        assert_eq!(levels(0), (vec![], 0));
        assert_eq!(levels(1), (vec![(0, 1)], 1));
        assert_eq!(levels(17), (vec![(0, 17), (17, 2), (19, 1)], 20));
    }
}
