//! Indexes through their public API: answers, edge cases, files.

mod answers;
mod data;
mod disk;
mod edges;
mod files;
mod forests;
mod kinds;
mod lists;
mod minhash;
mod quality;
