//! Vector indexes: train, build, write, open mapped, search.
