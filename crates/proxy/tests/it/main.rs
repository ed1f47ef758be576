//! The front door before roles that keep everything in memory: one scenario per file.

mod ddl;
mod dml;
mod query;
mod roles;
mod search;
