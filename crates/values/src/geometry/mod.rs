//! Geometries: WKT, which clients write and read, and WKB, which is stored.
//!
//! WKB is ISO, little-endian; an empty point has coordinates that are no numbers. Z and M are kept,
//! and ignored by every spatial condition. WKT is written as Milvus writes it: a blank behind the
//! name and behind commas, points of a multipoint without parentheses, numbers as short as possible
//! and without exponent.
//!
//! Not here: spatial conditions (crate `expr`).

mod convert;
mod shape;
mod wkb;
mod wkt;

pub use convert::to_geo;
pub use shape::GeometryError;
pub use wkb::envelope;

/// The WKB of WKT `text`.
pub fn from_wkt(text: &str) -> Result<Vec<u8>, GeometryError> {
    Ok(wkb::write(&wkt::read(text)?))
}

/// The WKT of `wkb`, of either byte order.
pub fn to_wkt(wkb: &[u8]) -> Result<String, GeometryError> {
    Ok(wkt::write(&wkb::read(wkb)?))
}

/// Whether `wkb` is one geometry and nothing else.
pub fn check(wkb: &[u8]) -> Result<(), GeometryError> {
    wkb::read(wkb).map(drop)
}

#[cfg(test)]
mod tests;
