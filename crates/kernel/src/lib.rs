//! Distances, bitsets, top-k: SIMD chosen once at start.
