//! `milvus-bench`: measures the vector indexes of this workspace over data sets on disk.
//!
//! Each command prints one JSON object with recall beside every figure; `serve` is driven by
//! `bench/lib.py`, which runs other libraries beside it in turns. Run it in a release build.
//!
//! Not here: other libraries (`bench/peers.py`), tables (`bench/report.py`), the server
//! (`bench/standalone.py`), single kernels (`cargo bench -p milvus-kernel`).

mod bandwidth;
mod commands;
mod dataset;
mod gauge;
mod knobs;
mod mapped;
mod npy;
mod options;
mod subject;
mod target;
mod trial;
mod zipf;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a command gives, or why it could not; a person reads the reason.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Measures vector indexes: build, memory, recall, queries per second.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the exact answers of a data set beside it (gt100.npy, gt100_dist.npy).
    Truth(commands::truth::Options),
    /// Builds one index and measures it at each recall.
    Index(commands::index::Options),
    /// The same under filters of several selectivities, random and correlated with the query.
    Filters(commands::filters::Options),
    /// The same after rows were deleted.
    Deletes(commands::deletes::Options),
    /// Exact search against the memory bandwidth of this machine.
    Flat(commands::flat::Options),
    /// Sparse vectors against a plain inverted scan.
    Sparse(commands::sparse::Options),
    /// Opens a written index from a cold file and says what it keeps in memory.
    Opened(commands::opened::Options),
    /// Answers requests, one JSON object a line, for a driver that measures several systems in turns.
    Serve(commands::serve::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Truth(options) => commands::truth::run(&options),
        Command::Index(options) => commands::index::run(&options),
        Command::Filters(options) => commands::filters::run(&options),
        Command::Deletes(options) => commands::deletes::run(&options),
        Command::Flat(options) => commands::flat::run(&options),
        Command::Sparse(options) => commands::sparse::run(&options),
        Command::Opened(options) => commands::opened::run(&options),
        Command::Serve(options) => commands::serve::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a result on standard output.
#[expect(clippy::print_stdout, reason = "a command-line tool talks on standard output")]
fn say(result: &serde_json::Value) {
    println!("{result}");
}
