//! Generates the wire types and the service from `proto/*.proto`, without a `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["proto/milvus.proto"], ["proto"])?;
    let mut config = prost_build::Config::new();
    config
        .bytes(["."])
        .disable_comments(["."])
        // Columns of numbers stay the bytes that came in; see `packed`.
        .extern_path(".milvus.proto.schema.FloatArray", "crate::packed::FloatArray")
        .extern_path(".milvus.proto.schema.DoubleArray", "crate::packed::DoubleArray")
        // Its maps keep empty values; see `flush`.
        .extern_path(".milvus.proto.milvus.FlushResponse", "crate::flush::FlushResponse");
    tonic_prost_build::configure()
        // The API has an RPC called `Connect`, which the transport's own `connect` would hide.
        .build_transport(false)
        // An RPC that the server does not implement answers UNIMPLEMENTED.
        .generate_default_stubs(true)
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
