//! An S3 server for tests: strict about conditions, faulty on demand.
//!
//! Ready-made doubles decide racing conditional writes wrongly, which is the one thing that fencing
//! rests on. This one decides every write of a key under one lock, checks signatures, and fails as
//! networks and services do, from a seed, when it is told to.
//!
//! | file | what |
//! |---|---|
//! | [`Server`] | the listener, and faults put around each request |
//! | [`Faults`] | which faults, how often; changed while it runs |
//! | [`Keys`], [`Issuer`] | who may ask; where programs in a cloud get keys of a session from |
//! | `api` | S3's operations, as far as Milvus and its tools use them |
//! | `objects` | what is stored: in memory, or in a directory that outlives the process |
//!
//! Not here: TLS, versions of objects, access rules, copies.
#![warn(missing_docs)]

mod api;
mod control;
mod faults;
mod issuer;
mod keys;
mod objects;
mod server;

pub use faults::{FaultSpecError, Faults};
pub use issuer::Issuer;
pub use keys::{Key, Keys};
pub use objects::{Condition, NotStored, Objects, Stored};
pub use server::{Options, Server};
