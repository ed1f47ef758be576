//! Background work: index builds.
