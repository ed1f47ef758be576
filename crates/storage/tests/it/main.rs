//! Every backend against the contract, and what only some of them promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod azurite;
mod backends;
mod cached;
mod counter;
mod faults;
mod iam;
mod keys;
mod local;
mod minio;
mod patience;
mod remote;
mod styles;
mod tls;
