//! The binary `milvus`: reads the command line and the configuration, and runs the server or a tool.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use milvus_server::check_command::check;
use milvus_server::cli::{Check, Cli, Run, Task};
use milvus_server::config::Config;
use milvus_server::{logging, run};

/// The allocator of release builds: its statistics tell real memory from fragmentation.
#[cfg(all(feature = "jemalloc", not(debug_assertions)))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit code of a command line or configuration that cannot be right.
const USAGE: u8 = 2;
/// The exit code of a check that was not done: 1 would say that something is damaged.
const NOT_CHECKED: u8 = 2;

fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match Cli::parse().into_task(environment) {
        Ok(Task::Run(asked_for)) => start(asked_for),
        Ok(Task::Check(asked_for)) => look(&asked_for),
        Err(error) => refuse(USAGE, &error),
    }
}

fn start(asked_for: Run) -> ExitCode {
    let config = match Config::load(&asked_for.sources) {
        Ok(config) => config,
        Err(error) => return refuse(USAGE, &error),
    };
    if let Err(error) = logging::start(&config, asked_for.log_level_is_flag) {
        return refuse(USAGE, &error);
    }
    let served = match runtime() {
        Ok(runtime) => {
            let served = runtime.block_on(run::standalone(config, asked_for.memory_limit));
            // Requests that did not end in time are not waited for again.
            runtime.shutdown_background();
            served
        }
        Err(error) => Err(error.into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(1, &error),
    }
}

fn look(asked_for: &Check) -> ExitCode {
    let config = match Config::load(&asked_for.sources) {
        Ok(config) => config,
        Err(error) => return refuse(USAGE, &error),
    };
    let checked = match runtime() {
        Ok(runtime) => runtime.block_on(check(&config, asked_for)),
        Err(error) => Err(error.into()),
    };
    checked.map_or_else(|error| refuse(NOT_CHECKED, &error), ExitCode::from)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().thread_name("milvus-async").enable_all().build()
}

/// Tells on standard error why nothing runs, down to what the system said.
fn refuse(code: u8, error: &dyn Error) -> ExitCode {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    eprintln!("milvus: {text}");
    ExitCode::from(code)
}
