//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Flag, Sources, bytes};
use crate::version::VERSION;

/// What runs in this version.
const ROLES: &str = "standalone (all roles in one process)";

const EXAMPLES: &str = "\
Examples:
  milvus run standalone
  milvus run standalone --data-dir /var/lib/milvus --port 19530
  milvus check --data-dir /var/lib/milvus

Configuration: flags, then environment (PROXY_PORT, MILVUS_CONF_LOG_LEVEL, ...), then milvus.yaml.";

/// A vector database that speaks the Milvus API.
#[derive(Debug, Parser)]
#[command(name = "milvus", version = VERSION, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a role in the foreground until a signal stops it
    Run(Box<RunArgs>),
    /// Verify every checksum and reference of a data directory, and what it keeps in object storage
    Check(CheckArgs),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// How to run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to run: standalone, all roles in one process
    role: String,
    /// Directory that keeps everything [default: ./milvus-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address that clients connect to [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    address: Option<String>,
    /// Port of gRPC; 0 takes a free one [default: 19530]
    #[arg(long)]
    port: Option<u16>,
    /// Port of health and metrics; 0 takes a free one [default: 9091]
    #[arg(long, value_name = "PORT")]
    metrics_port: Option<u16>,
    /// Configuration file [default: $MILVUSCONF/milvus.yaml or ./milvus.yaml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Least important log lines to write [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// Form of log lines [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
    /// Memory to stay within, such as 2GiB [default: what the machine or its container allows]
    #[arg(long, value_name = "BYTES", env = "MILVUS_MEMORY_LIMIT", value_parser = bytes::parse_memory)]
    memory_limit: Option<u64>,
}

/// What to check.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 the data is sound, 1 something is damaged, missing or unreadable, 2 it was not checked.")]
pub struct CheckArgs {
    /// Directory that keeps everything [default: ./milvus-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file [default: $MILVUSCONF/milvus.yaml or ./milvus.yaml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Put damaged segments aside, so that the rest can be served; nothing is deleted
    #[arg(long)]
    repair: bool,
    /// With --repair: say what would be done, and do nothing
    #[arg(long, requires = "repair")]
    dry_run: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Task {
    /// Run a server.
    Run(Run),
    /// Check what a server keeps.
    Check(Check),
}

/// A check that is asked for.
#[derive(Debug)]
pub struct Check {
    /// Where configuration comes from, flags included.
    pub sources: Sources,
    /// Put damaged segments aside.
    pub repair: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Report as JSON.
    pub json: bool,
}

/// A server that is asked for.
#[derive(Debug)]
pub struct Run {
    /// Where configuration comes from, flags included.
    pub sources: Sources,
    /// The memory budget asked for.
    pub memory_limit: Option<u64>,
    /// Whether a flag names the log level.
    pub log_level_is_flag: bool,
}

/// A command that this version does not know.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCommand {
    /// Not a subcommand.
    #[error(
        "unknown command {got:?}; this version has: milvus run {ROLES}, milvus check; see milvus --help"
    )]
    Command {
        /// The word.
        got: String,
    },
    /// Not a role.
    #[error("cannot run {got:?}; this version runs: {ROLES}")]
    Role {
        /// The word.
        got: String,
    },
}

impl Cli {
    /// What is asked for, with `environment` as a source.
    pub fn into_task(self, environment: Vec<(String, String)>) -> Result<Task, UnknownCommand> {
        let args = match self.command {
            Command::Run(args) => *args,
            Command::Check(args) => return Ok(Task::Check(args.into_check(environment))),
            Command::Other(words) => {
                let got = words.first().map(|word| word.to_string_lossy().into_owned());
                return Err(UnknownCommand::Command { got: got.unwrap_or_default() });
            }
        };
        if args.role != "standalone" {
            return Err(UnknownCommand::Role { got: args.role });
        }
        Ok(Task::Run(Run {
            memory_limit: args.memory_limit,
            log_level_is_flag: args.log_level.is_some(),
            sources: Sources { file: args.config.clone(), environment, flags: args.flags() },
        }))
    }
}

impl CheckArgs {
    fn into_check(self, environment: Vec<(String, String)>) -> Check {
        let value = self.data_dir.map(|path| path.to_string_lossy().into_owned());
        let flag = |value| Flag { key: "localStorage.path", name: "--data-dir", value };
        let flags = value.map(flag).into_iter().collect();
        Check {
            sources: Sources { file: self.config, environment, flags },
            repair: self.repair,
            dry_run: self.dry_run,
            json: self.json,
        }
    }
}

impl RunArgs {
    fn flags(&self) -> Vec<Flag> {
        let flag = |key, name, value: Option<String>| value.map(|value| Flag { key, name, value });
        let data_dir = self.data_dir.as_ref().map(|path| path.to_string_lossy().into_owned());
        [
            flag("localStorage.path", "--data-dir", data_dir),
            flag("proxy.ip", "--address", self.address.clone()),
            flag("proxy.port", "--port", self.port.map(|port| port.to_string())),
            flag("metrics.port", "--metrics-port", self.metrics_port.map(|port| port.to_string())),
            flag("log.level", "--log-level", self.log_level.map(word)),
            flag("log.format", "--log-format", self.log_format.map(word)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The word that is typed for `value`.
fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(words: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(words.split_whitespace())
    }

    fn run(words: &str) -> Run {
        match parse(words).unwrap().into_task(vec![]).unwrap() {
            Task::Run(run) => run,
            Task::Check(check) => panic!("{words} is {check:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_keys() {
        let run = run(
            "milvus run standalone --port 0 --data-dir d --log-level debug --memory-limit 2GiB",
        );
        let flags: Vec<_> = run
            .sources
            .flags
            .iter()
            .map(|flag| (flag.key, flag.name, flag.value.as_str()))
            .collect();
        assert_eq!(
            flags,
            [
                ("localStorage.path", "--data-dir", "d"),
                ("proxy.port", "--port", "0"),
                ("log.level", "--log-level", "debug"),
            ]
        );
        assert_eq!(run.memory_limit, Some(2 << 30));
        assert!(run.log_level_is_flag);
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        let refusal = |words| parse(words).unwrap().into_task(vec![]).unwrap_err().to_string();
        let text = refusal("milvus run querynode");
        assert!(text.contains("\"querynode\"") && text.contains("standalone"), "{text}");
        let text = refusal("milvus stop standalone");
        assert!(text.contains("\"stop\"") && text.contains("milvus run standalone"), "{text}");
    }

    #[test]
    fn a_check_has_its_own_flags() {
        let task = parse("milvus check --data-dir d --repair --dry-run").unwrap().into_task(vec![]);
        let Task::Check(check) = task.unwrap() else { panic!("it is no check") };
        assert!(check.repair && check.dry_run && !check.json);
        assert_eq!(check.sources.flags.first().map(|flag| &*flag.value), Some("d"));
        assert!(parse("milvus check --dry-run").unwrap_err().to_string().contains("--repair"));
    }

    #[test]
    fn slips_are_explained() {
        let text = parse("milvus run standalone --prot 1").unwrap_err().to_string();
        assert!(text.contains("--prot") && text.contains("--port"), "{text}");
        let text = parse("milvus run standalone --port 70000").unwrap_err().to_string();
        assert!(text.contains("70000") && text.contains("0..=65535"), "{text}");
        let text = parse("milvus run standalone --memory-limit lots").unwrap_err().to_string();
        assert!(text.contains("2GiB"), "{text}");
        let text = parse("milvus run standalone --log-level loud").unwrap_err().to_string();
        assert!(text.contains("trace, debug, info, warn, error"), "{text}");
    }
}
