//! Running other programs from the repository's root, and talking to the person at the terminal.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a command of `cargo xtask` did not succeed.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The repository's root: the folder above this crate. Cargo says where that is; what was compiled in may
/// be another clone that shares the target directory.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent().map(Path::to_path_buf).unwrap_or(here)
}

/// Runs a program at the root, without standard input; its output goes where ours goes.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<(), Failure> {
    let status = Command::new(program)
        .args(args)
        .current_dir(root())
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::new(format!("{program} did not start: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{program} failed: {status}"))) }
}

/// Runs a Python script of the repository.
pub(crate) fn script(path: &str, args: &[String]) -> Result<(), Failure> {
    let mut all = vec![path];
    all.extend(args.iter().map(String::as_str));
    run("python3", &all)
}

/// Runs a program at the root and returns what it printed.
pub(crate) fn output_of(program: &str, args: &[&str], folder: &Path) -> Result<Vec<u8>, Failure> {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("{program} did not start: {error}")))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Failure::new(format!("{program} failed: {}", output.status)))
    }
}

/// A line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "a command-line tool talks on standard output")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// The reason of a failure, on standard error.
pub(crate) fn complain(failure: &Failure) {
    eprintln!("error: {failure}");
}
