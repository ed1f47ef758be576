//! Points in time: ISO 8601 text to microseconds since the epoch and back, in a time zone.
//!
//! Text with an offset or `Z` is a point in time; text without one is a clock's reading in the
//! zone given. Years are 0000 to 9999, offsets -12:00 to +14:00, fractions are cut to microseconds.
//! A reading that a zone skips or repeats takes the offset that Milvus's own library gives it.
//!
//! Not here: which zone a request is answered in (request, collection, database, UTC).

mod calendar;
mod interval;
mod text;
mod zone;

pub use interval::Interval;
pub use text::{TimestampError, format, parse};
pub use zone::{InvalidZone, Zone};
