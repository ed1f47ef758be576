//! A segment's key index: sorted, one entry for each row, each the key that the row has.

use bytes::Bytes;
use milvus_format::KeyIndex;
use milvus_types::PrimaryKeys;

use crate::columns::undecoded;
use crate::segment::{Problem, Problems};

/// Opens the key index in `bytes`, and says what in it is not so for a segment of `rows` rows with
/// these `keys`, if they are known.
pub(crate) fn check(bytes: &Bytes, rows: u64, keys: Option<&PrimaryKeys>) -> Problems {
    let index = match KeyIndex::open(bytes) {
        Ok(index) => index,
        Err(error) => return vec![undecoded(&error)],
    };
    let got = index.len() as u64;
    if got != rows {
        let what = format!("it has {got} entries, the segment has {rows} rows");
        return vec![Problem::damage(what)];
    }
    let Some(keys) = keys else {
        return Vec::new();
    };
    let mut seen = vec![false; keys.len()];
    for (key, row) in index.iter() {
        let place = row as usize;
        match seen.get_mut(place) {
            Some(seen) if !*seen => *seen = true,
            _ => return vec![Problem::damage(format!("row {row} has more than one entry"))],
        }
        let want = keys.get(place);
        if key != want {
            let what = format!("row {row} has key {key} in it, and {want} in its column");
            return vec![Problem::damage(what)];
        }
    }
    Vec::new()
}
