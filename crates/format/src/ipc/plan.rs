//! The layout of one column of a record batch, found out from its pieces.
//!
//! Every type has one line of levels, from the rows down to the innermost values:
//!
//! ```text
//! Utf8                           rows (validity, offsets) -> bytes
//! List<Utf8>                     rows (validity, offsets) -> elements (validity, offsets) -> bytes
//! List<FixedSizeList<Float32>>   rows (validity, offsets) -> vectors (validity) -> numbers
//! ```
//!
//! Bitmaps and offsets are built here, 4 bytes for a string or list and a bit for a boolean and a
//! value of a column with nulls; the values, nearly all of a segment, are only counted.

use arrow::array::{ArrayData, BooleanBufferBuilder};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType as ArrowType, Field};
use arrow::ipc;

use super::{fixed_width, supported};
use crate::error::EncodeError;

/// The layout of a column whose pieces so far have been added.
pub(crate) struct ColumnPlan {
    what: &'static str,
    /// From the rows inwards.
    levels: Vec<Level>,
    value_bytes: u64,
    /// The values of a column of booleans, or of lists of them.
    bits: Option<BooleanBufferBuilder>,
}

struct Level {
    data_type: ArrowType,
    len: usize,
    nulls: usize,
    /// From the first null on.
    validity: Option<BooleanBufferBuilder>,
    offsets: Option<Vec<i32>>,
}

/// What a batch says of a column.
pub(crate) struct PlannedColumn {
    /// One for each level.
    pub(crate) nodes: Vec<ipc::FieldNode>,
    /// The buffers before the values; all of them if the values are bits.
    pub(crate) structure: Vec<Buffer>,
    /// How many bytes of values follow.
    pub(crate) value_bytes: Option<u64>,
}

impl ColumnPlan {
    /// A plan of no rows yet.
    pub(crate) fn new(what: &'static str, field: &Field) -> Result<Self, EncodeError> {
        if !supported(field.data_type()) {
            let (column, data_type) = (field.name().clone(), field.data_type().clone());
            return Err(EncodeError::UnsupportedColumn { what, column, data_type });
        }
        let mut levels = Vec::new();
        let mut data_type = field.data_type();
        loop {
            levels.push(Level::new(data_type));
            match child_type(data_type) {
                Some(child) => data_type = child,
                None => break,
            }
        }
        let bits = matches!(data_type, ArrowType::Boolean).then(|| BooleanBufferBuilder::new(0));
        Ok(Self { what, levels, value_bytes: 0, bits })
    }

    /// How many rows were added.
    pub(crate) fn rows(&self) -> usize {
        self.levels.first().map_or(0, |level| level.len)
    }

    /// Whether the column is one of vectors of one width, whose layout follows from the number of
    /// rows if none is null.
    pub(crate) fn is_dense_vector(&self) -> bool {
        let outer = self.levels.first().map(|level| &level.data_type);
        matches!(outer, Some(ArrowType::FixedSizeList(..) | ArrowType::FixedSizeBinary(_)))
    }

    /// Adds `rows` vectors, none of them null.
    pub(crate) fn add_dense(&mut self, rows: usize) {
        let mut len = rows;
        for level in &mut self.levels {
            level.len += len;
            if let ArrowType::FixedSizeList(_, size) = &level.data_type {
                len = len.saturating_mul(usize::try_from(*size).unwrap_or_default());
            } else {
                let width = fixed_width(&level.data_type).unwrap_or_default();
                self.value_bytes += len.saturating_mul(width) as u64;
            }
        }
    }

    /// Adds the rows of `piece`.
    pub(crate) fn add(&mut self, piece: &ArrayData) -> Result<(), EncodeError> {
        let mut data = piece.clone();
        for level in &mut self.levels {
            level.add(self.what, &data)?;
            let Some(inner) = child(&data) else { break };
            data = inner;
        }
        match (&mut self.bits, data.buffers().first()) {
            (Some(bits), Some(packed)) => {
                bits.append_packed_range(data.offset()..data.offset() + data.len(), packed);
            }
            (Some(_), None) => {}
            (None, _) => self.value_bytes += innermost(&data).map_or(0, |bytes| bytes.len() as u64),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> PlannedColumn {
        let nodes = self.levels.iter().map(Level::node).collect();
        let mut structure: Vec<Buffer> = self.levels.into_iter().flat_map(Level::buffers).collect();
        let value_bytes = self.bits.is_none().then_some(self.value_bytes);
        structure.extend(self.bits.map(|mut bits| bits.finish().into_inner()));
        PlannedColumn { nodes, structure, value_bytes }
    }
}

impl Level {
    fn new(data_type: &ArrowType) -> Self {
        let offsets = matches!(data_type, ArrowType::Utf8 | ArrowType::Binary | ArrowType::List(_));
        Self {
            data_type: data_type.clone(),
            len: 0,
            nulls: 0,
            validity: None,
            offsets: offsets.then(|| vec![0]),
        }
    }

    fn add(&mut self, what: &'static str, data: &ArrayData) -> Result<(), EncodeError> {
        self.add_validity(data);
        self.len += data.len();
        self.nulls += data.null_count();
        let Some(offsets) = &mut self.offsets else { return Ok(()) };
        let unit = match child_type(&self.data_type) {
            Some(_) => "elements of arrays in one column",
            None => "bytes of strings in one column",
        };
        append_offsets(offsets, data).map_err(|got| EncodeError::TooLarge {
            what,
            unit,
            got,
            limit: i32::MAX as u64,
        })
    }

    fn add_validity(&mut self, data: &ArrayData) {
        if self.validity.is_none() && data.null_count() == 0 {
            return;
        }
        let validity = self.validity.get_or_insert_with(|| {
            let mut bits = BooleanBufferBuilder::new(self.len + data.len());
            bits.append_n(self.len, true);
            bits
        });
        match data.nulls() {
            Some(nulls) => validity.append_buffer(nulls.inner()),
            None => validity.append_n(data.len(), true),
        }
    }

    fn node(&self) -> ipc::FieldNode {
        let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        ipc::FieldNode::new(signed(self.len), signed(self.nulls))
    }

    fn buffers(self) -> impl Iterator<Item = Buffer> {
        let validity = self.validity.map(|mut bits| bits.finish().into_inner());
        let offsets = self.offsets.map(Buffer::from_vec);
        std::iter::once(validity.unwrap_or_else(|| Buffer::from_vec(Vec::<u8>::new())))
            .chain(offsets)
    }
}

/// Continues `offsets`, one run from zero, with those of `data`; how far they would reach if that is
/// too far.
fn append_offsets(offsets: &mut Vec<i32>, data: &ArrayData) -> Result<(), u64> {
    let Some((first, last)) = offset_range(data) else { return Ok(()) };
    let own: &[i32] = data.buffers().first().map_or(&[], |buffer| buffer.typed_data());
    let own = own.get(data.offset()..=data.offset() + data.len()).unwrap_or(&[]);
    let base = offsets.last().copied().unwrap_or(0);
    // A valid Arrow array's offsets never fall.
    let end = u64::from(base.unsigned_abs()) + u64::from((last - first).unsigned_abs());
    if end > i32::MAX as u64 {
        return Err(end);
    }
    offsets.extend(own.iter().skip(1).map(|offset| base + (offset - first)));
    Ok(())
}

/// The first and the last offset of `data`, an array of strings or lists; `None` if it is empty.
fn offset_range(data: &ArrayData) -> Option<(i32, i32)> {
    if data.is_empty() {
        return None;
    }
    let offsets: &[i32] = data.buffers().first()?.typed_data();
    Some((*offsets.get(data.offset())?, *offsets.get(data.offset() + data.len())?))
}

fn child_type(data_type: &ArrowType) -> Option<&ArrowType> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have no elements")]
    match data_type {
        ArrowType::List(element) | ArrowType::FixedSizeList(element, _) => {
            Some(element.data_type())
        }
        _ => None,
    }
}

/// The elements of `data` if it is an array of lists: those of its rows, in order.
fn child(data: &ArrayData) -> Option<ArrayData> {
    let elements = data.child_data().first()?;
    if let ArrowType::FixedSizeList(_, size) = data.data_type() {
        let size = usize::try_from(*size).ok()?;
        return Some(elements.slice(data.offset() * size, data.len() * size));
    }
    let (first, last) = offset_range(data).unwrap_or((0, 0));
    let start = usize::try_from(first).ok()?;
    Some(elements.slice(start, usize::try_from(last - first).ok()?))
}

/// The bytes of the innermost values of `data`; none of bits.
pub(crate) fn values(data: &ArrayData) -> Option<Buffer> {
    let mut data = data.clone();
    while let Some(inner) = child(&data) {
        data = inner;
    }
    innermost(&data)
}

fn innermost(data: &ArrayData) -> Option<Buffer> {
    if let Some(width) = fixed_width(data.data_type()) {
        let values = data.buffers().first()?;
        return Some(values.slice_with_length(data.offset() * width, data.len() * width));
    }
    let (first, last) = offset_range(data)?;
    let start = usize::try_from(first).ok()?;
    Some(data.buffers().get(1)?.slice_with_length(start, usize::try_from(last - first).ok()?))
}
