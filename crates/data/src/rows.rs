//! Rows of several segments, gathered column by column and piece by piece.
//!
//! Cost: each value is copied once when its piece is asked for; besides one piece of one column
//! nothing is held but where the rows are.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{Schema, SchemaRef};
use milvus_format::{EncodeError, RowSource, TakePiece};
use milvus_segment::{SegmentSchema, gather};
use milvus_types::PrimaryKeys;

use crate::input::{Input, InputColumn, Place};
use crate::sizes::Sizes;

/// About how many bytes of one column are gathered at once.
pub(crate) const PIECE_BYTES: u64 = 4 << 20;
const PIECE_ROWS: usize = 1 << 16;
const WHAT: &str = "segment file";

/// A flag that someone else may raise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cancel<'a>(pub(crate) &'a AtomicBool);

impl Cancel<'_> {
    pub(crate) fn is_raised(self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Rows of the inputs, under the schema of today.
pub(crate) struct Rows<'a> {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// Which of the columns is the primary key.
    key: Option<usize>,
    places: &'a [Place],
    cancel: Cancel<'a>,
}

/// A column of all inputs.
#[derive(Clone)]
struct Column {
    /// The values of each input.
    inputs: Vec<InputColumn>,
    arrays: Vec<ArrayRef>,
    sizes: Sizes,
    has_no_nulls: bool,
}

impl Column {
    fn new(inputs: Vec<InputColumn>) -> Self {
        let arrays: Vec<ArrayRef> =
            inputs.iter().map(|column| Arc::clone(column.array())).collect();
        let has_no_nulls = arrays.iter().all(|array| array.null_count() == 0);
        let sizes = Sizes::new(&inputs);
        Self { inputs, arrays, sizes, has_no_nulls }
    }

    fn gather(&self, places: &[Place]) -> Result<ArrayRef, EncodeError> {
        let place = |place: &Place| {
            let input = place.input as usize;
            let row = place.row as usize;
            (input, self.inputs.get(input).map_or(row, |column| column.at(row).1))
        };
        let places: Vec<(usize, usize)> = places.iter().map(place).collect();
        gather(&self.arrays, &places).map_err(|source| EncodeError::Arrow { what: WHAT, source })
    }
}

impl<'a> Rows<'a> {
    /// The rows at `places` among those of `inputs`.
    pub(crate) fn new(
        schema: &SegmentSchema,
        inputs: &'a [Input],
        places: &'a [Place],
        cancel: Cancel<'a>,
    ) -> Self {
        let mut fields = Vec::with_capacity(schema.fields().len());
        let mut columns = Vec::with_capacity(schema.fields().len() + 1);
        for (at, field) in schema.arrow().fields().iter().enumerate() {
            let of_field = inputs.iter().filter_map(|input| input.column(at).cloned());
            let column = Column::new(of_field.collect());
            // Rows from before a field that must have values have none.
            let nullable = field.is_nullable() || !column.has_no_nulls;
            fields.push(field.as_ref().clone().with_nullable(nullable));
            columns.push(column);
        }
        let timestamps =
            inputs.iter().map(|input| InputColumn::Values(Arc::new(input.timestamps().clone())));
        columns.push(Column::new(timestamps.collect()));
        let key = schema.fields().iter().position(|field| field.is_primary_key);
        Self { schema: Arc::new(Schema::new(fields)), columns, key, places, cancel }
    }

    /// Some of them.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            schema: Arc::clone(&self.schema),
            columns: self.columns.clone(),
            key: self.key,
            places: self.places.get(rows).unwrap_or_default(),
            cancel: self.cancel,
        }
    }

    /// The columns' schema, without the timestamps.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn places(&self) -> &'a [Place] {
        self.places
    }

    /// How many columns there are, that of the timestamps included.
    pub(crate) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Bytes of the row at `place` in all columns.
    pub(crate) fn bytes(&self, place: Place) -> u64 {
        self.columns.iter().map(|column| column.sizes.bytes(place)).sum()
    }

    /// Bytes of text or elements of the row at `place` in a column.
    pub(crate) fn units(&self, column: usize, place: Place) -> u64 {
        self.columns.get(column).map_or(0, |column| column.sizes.units(place))
    }

    /// Ranges of rows of which all columns together are small enough to be in memory.
    pub(crate) fn batches(&self) -> impl Iterator<Item = Range<usize>> {
        pieces(self.places, |place| self.bytes(place))
    }

    /// All columns of some of the rows, without the timestamps.
    pub(crate) fn gather(&self, rows: Range<usize>) -> Result<Vec<ArrayRef>, EncodeError> {
        let places = self.places.get(rows).unwrap_or_default();
        let columns = self.columns.iter().take(self.schema.fields().len());
        columns.map(|column| column.gather(places)).collect()
    }

    /// The primary keys.
    pub(crate) fn keys(&self) -> Result<PrimaryKeys, EncodeError> {
        let column = self.key.and_then(|at| self.columns.get(at));
        let column = column.map(|column| column.gather(self.places)).transpose()?;
        column.and_then(|column| PrimaryKeys::from_array(&column)).ok_or_else(|| {
            let reason = "its primary key is neither Int64 nor VarChar".to_owned();
            EncodeError::Mismatch { what: "key index", reason }
        })
    }
}

impl RowSource for Rows<'_> {
    fn rows(&self) -> u64 {
        self.places.len() as u64
    }

    fn pieces(&self, column: usize, take: TakePiece<'_>) -> Result<(), EncodeError> {
        let Some(column) = self.columns.get(column) else { return Ok(()) };
        pieces(self.places, |place| column.sizes.bytes(place)).try_for_each(|rows| {
            if self.cancel.is_raised() {
                return Err(EncodeError::Cancelled { what: WHAT });
            }
            take(&column.gather(self.places.get(rows).unwrap_or_default())?)
        })
    }

    fn has_no_nulls(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.has_no_nulls)
    }
}

/// Cuts `places` into ranges of about [`PIECE_BYTES`], as `bytes` says of each row; a larger row is a
/// range of its own.
fn pieces<'a>(
    places: &'a [Place],
    bytes: impl Fn(Place) -> u64 + 'a,
) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = places.get(start..).filter(|rest| !rest.is_empty())?;
        let mut taken = 0;
        let fits = |place: &&Place| {
            taken += bytes(**place);
            taken <= PIECE_BYTES
        };
        let rows = rest.iter().take(PIECE_ROWS).take_while(fits).count().max(1);
        start += rows;
        Some(start - rows..start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_bounded_however_unequal_rows_are() {
        let places: Vec<Place> = (0..200_000).map(|row| Place { input: 0, row }).collect();
        let bytes = |place: Place| match place.row {
            1000..1010 => PIECE_BYTES / 2,
            1010..1012 => PIECE_BYTES * 2,
            _ => 40,
        };
        let mut end = 0;
        for piece in pieces(&places, bytes) {
            assert_eq!(piece.start, end, "nothing is left out");
            end = piece.end;
            let sum: u64 = places[piece.clone()].iter().map(|place| bytes(*place)).sum();
            assert!(sum <= PIECE_BYTES || piece.len() == 1, "{piece:?} has {sum} bytes");
            assert!((1..=PIECE_ROWS).contains(&piece.len()));
        }
        assert_eq!(end, places.len());
        assert_eq!(pieces(&[], bytes).count(), 0);
    }
}
