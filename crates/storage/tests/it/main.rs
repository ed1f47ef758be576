//! Every backend against the contract, and what only a local directory promises.

mod backends;
mod faults;
mod local;
