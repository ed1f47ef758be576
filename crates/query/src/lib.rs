//! Sealed segments: load, release, search.
