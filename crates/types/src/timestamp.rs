//! Hybrid timestamps: 46 bits of milliseconds since the Unix epoch, 18 bits of counter.
//!
//! Handed out by the timestamp oracle (`coord::tso`); this file only takes them apart.

use std::fmt;

/// A point in the cluster's order of events. Every log record bears one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Bits of the counter below the milliseconds.
    pub const LOGICAL_BITS: u32 = 18;
    /// Before everything.
    pub const ZERO: Self = Self(0);
    /// After everything.
    pub const MAX: Self = Self(u64::MAX);

    /// The timestamp of `physical_ms` milliseconds since the epoch and counter `logical`.
    pub fn new(physical_ms: u64, logical: u64) -> Self {
        Self((physical_ms << Self::LOGICAL_BITS) | logical)
    }

    /// Milliseconds since the Unix epoch.
    pub fn physical_ms(self) -> u64 {
        self.0 >> Self::LOGICAL_BITS
    }

    /// The counter within the millisecond.
    pub fn logical(self) -> u64 {
        self.0 & ((1 << Self::LOGICAL_BITS) - 1)
    }

    /// This timestamp moved back by `ms` milliseconds, not below zero.
    pub fn saturating_sub_ms(self, ms: u64) -> Self {
        Self::new(self.physical_ms().saturating_sub(ms), self.logical())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
