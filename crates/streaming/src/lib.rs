//! Owns log channels: timestamps, appends, growing segments, key index, flush, delegator.
