//! The log: channels, durable append, read, truncate, fence.
