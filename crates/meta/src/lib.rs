//! The typed catalogue over a transactional key-value store.
