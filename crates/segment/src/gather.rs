//! Gathering values from several arrays into one.

use arrow::array::{Array, ArrayRef, MutableArrayData, make_array};
use arrow::compute;
use arrow::datatypes::DataType as ArrowType;
use arrow::error::ArrowError;

/// The values at `places` (array, row) of `arrays`, in that order; the arrays are of one type, and at
/// least one.
///
/// Cost: each value is copied once; lists and vectors of rows that follow each other in one array are
/// copied together.
pub fn gather(arrays: &[ArrayRef], places: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
    let first = arrays.first().map(|array| array.data_type().clone());
    let first = first.ok_or_else(|| ArrowError::InvalidArgumentError("no arrays".to_owned()))?;
    let flat = !matches!(
        first,
        ArrowType::List(_) | ArrowType::FixedSizeList(..) | ArrowType::FixedSizeBinary(_)
    );
    if flat {
        let arrays: Vec<&dyn Array> = arrays.iter().map(|array| &**array).collect();
        return compute::interleave(&arrays, places);
    }
    // Slots of null vectors are copied with the others, so that elements never become null.
    let data: Vec<_> = arrays.iter().map(|array| array.to_data()).collect();
    let mut gathered = MutableArrayData::new(data.iter().collect(), false, places.len());
    for run in places.chunk_by(|before, next| before.0 == next.0 && before.1 + 1 == next.1) {
        if let Some((array, row)) = run.first() {
            gathered.try_extend(*array, *row, row + run.len())?;
        }
    }
    Ok(make_array(gathered.freeze()))
}
