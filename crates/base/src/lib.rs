//! The process underneath: clock, randomness, CPU pool, memory governor, retry, shutdown.
