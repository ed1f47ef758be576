//! `cargo xtask`: the project's own commands. Needs nothing installed but Rust and, where a command
//! talks to a server, Python 3.
//!
//! Not here: what the Python side does (`scripts/`, `bench/`, `tests/`); the rules of the house that
//! `tidy` checks (`tidy.rs` and the files below it).

mod bench;
mod command;
mod tidy;

use std::process::ExitCode;

use command::{Failure, root, run, script};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  check                 format, clippy with warnings as errors, tidy
  test [CRATE]          everything (scripts/test), or the tests of one crate
  tidy                  layers, headers, TODOs without an issue, golden files; lists long files
  conformance [--suite-dir DIR]
                        a fixed selection of Milvus's own Python suite, if a copy of it is there
                        (--suite-dir or MILVUS_SUITE_DIR); skipped, visibly, if not
  quickstart            builds the server and runs the example
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = match args.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("help", &[][..]),
    };
    let outcome = match name {
        "check" => check(),
        "test" => test(rest),
        "tidy" => tidy::run(&root()),
        "conformance" => script("scripts/conformance", rest),
        "bench" => bench::bench(rest),
        "quickstart" => script("scripts/quickstart", rest),
        "help" | "-h" | "--help" => {
            command::say(&format!("{USAGE}{}", bench::USAGE));
            Ok(())
        }
        other => Err(Failure::new(format!("unknown command `{other}`\n{USAGE}{}", bench::USAGE))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            command::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<(), Failure> {
    run("cargo", &["fmt", "--all", "--check"])?;
    run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    tidy::run(&root())
}

fn test(args: &[String]) -> Result<(), Failure> {
    match args.split_first() {
        Some((name, rest)) if !name.starts_with('-') => {
            let package = package_of(name);
            let mut all = vec!["test", "--package", package.as_str()];
            all.extend(rest.iter().map(String::as_str));
            run("cargo", &all)
        }
        Some(_) | None => script("scripts/test", args),
    }
}

/// `wal` and `milvus-wal` both mean the crate in `crates/wal`.
fn package_of(name: &str) -> String {
    if name.starts_with("milvus-") || name == "xtask" {
        name.to_owned()
    } else {
        format!("milvus-{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::package_of;

    #[test]
    fn a_crate_may_be_named_by_its_folder() {
        assert_eq!(package_of("wal"), "milvus-wal");
        assert_eq!(package_of("milvus-wal"), "milvus-wal");
        assert_eq!(package_of("xtask"), "xtask");
    }
}
