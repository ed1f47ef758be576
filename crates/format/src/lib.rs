//! Bytes on disk: segment files, delete files, key indexes, manifests, log records.
