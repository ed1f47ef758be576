//! Growing and sealed segments: insert, delete, filter, search, retrieve.
