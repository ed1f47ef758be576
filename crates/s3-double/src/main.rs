//! `s3-double`: an S3 server for tests, strict about conditions and faulty on demand.
//!
//! Prints one line when it listens: `port=P control=C`. Faults are set with
//! `curl -X PUT --data 'lost_reply=0.1,method=PUT' http://127.0.0.1:C/`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Parser;
use milvus_s3_double::{Faults, Objects, Options, Server};

#[derive(Parser)]
#[command(about = "An S3 server for tests, strict about conditions and faulty on demand")]
struct Arguments {
    /// Port on the loopback address; 0 for a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Keeps objects in this directory, across restarts.
    #[arg(long, conflicts_with = "memory")]
    dir: Option<PathBuf>,
    /// Keeps objects in memory (the default).
    #[arg(long)]
    memory: bool,
    /// Faults, such as error=0.1,lost_reply=0.05,stall=0.01,stall_ms=30000,seed=7.
    #[arg(long, default_value = "")]
    faults: Faults,
    /// A bucket to make at start.
    #[arg(long)]
    bucket: Vec<String>,
    /// The access key.
    #[arg(long, default_value = "minioadmin")]
    access_key: String,
    /// The secret key.
    #[arg(long, default_value = "minioadmin")]
    secret_key: String,
    /// Whether {bucket}.localhost names a bucket.
    #[arg(long)]
    virtual_host: bool,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let objects = match arguments.dir {
        Some(directory) => Objects::open(directory)?,
        None => Objects::in_memory(),
    };
    for bucket in &arguments.bucket {
        objects.make_bucket(bucket)?;
    }
    let server = Server::start(Options {
        port: arguments.port,
        objects,
        access_key: arguments.access_key,
        secret_key: arguments.secret_key,
        virtual_host: arguments.virtual_host,
        faults: arguments.faults,
        ..Options::default()
    })
    .await?;
    let mut out = std::io::stdout();
    writeln!(out, "port={} control={}", server.port(), server.control_port())?;
    out.flush()?;
    server.wait().await;
    Ok(())
}
