//! The binary from outside: what it prints, serves and refuses.

mod binary;
mod refusals;
mod service;
