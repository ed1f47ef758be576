//! The wire: protobuf of the public API.
