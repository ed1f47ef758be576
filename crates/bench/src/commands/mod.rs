//! The commands, one file each: their options, and what they print.

pub(crate) mod deletes;
pub(crate) mod filters;
pub(crate) mod flat;
pub(crate) mod index;
pub(crate) mod opened;
pub(crate) mod serve;
pub(crate) mod sparse;
pub(crate) mod truth;
