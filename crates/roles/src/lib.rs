//! The traits through which roles talk, and what they say.
