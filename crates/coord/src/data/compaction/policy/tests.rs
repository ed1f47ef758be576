//! What is worth compacting, seen from manifests made up here.
