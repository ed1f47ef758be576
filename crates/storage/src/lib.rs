//! Object store: local directory, conditional put, mapped reads, a fault-injecting double.
