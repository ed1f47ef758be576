//! The wire: protobuf of the public API, as generated from `proto/*.proto` at build time.
//!
//! `server` alone speaks it. The messages are Milvus's, number for number; two of them,
//! [`packed::FloatArray`] and [`packed::DoubleArray`], keep their values as the bytes that came in,
//! so that a vector is not copied when a request is decoded; [`flush::FlushResponse`] keeps empty map
//! values.

pub mod flush;
pub mod packed;

macro_rules! generated {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        #[allow(
            clippy::all,
            clippy::allow_attributes_without_reason,
            clippy::cast_possible_truncation,
            clippy::large_futures,
            clippy::unwrap_used,
            clippy::wildcard_enum_match_arm,
            deprecated,
            unreachable_pub,
            elided_lifetimes_in_paths,
            unused_lifetimes,
            unused_qualifications,
            reason = "generated code"
        )]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", $file));
        }
    };
}

generated!(
    /// What all services share: `Status`, key-value pairs, enums.
    common,
    "milvus.proto.common.rs"
);
generated!(
    /// Messages of the index visualisation RPCs.
    feder,
    "milvus.proto.feder.rs"
);
generated!(
    /// `MilvusService` and its messages.
    milvus,
    "milvus.proto.milvus.rs"
);
generated!(
    /// Messages of the log, named by replication RPCs.
    msg,
    "milvus.proto.msg.rs"
);
generated!(
    /// Resource groups.
    rg,
    "milvus.proto.rg.rs"
);
generated!(
    /// Schemas and columns.
    schema,
    "milvus.proto.schema.rs"
);

pub use packed::{DoubleArray, FloatArray};
pub use prost::Message;
