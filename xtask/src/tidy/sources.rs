//! Rules about single Rust files: a header, no TODO without an issue, nothing left from debugging.

use std::path::{Path, PathBuf};

use crate::command::{Failure, output_of};

/// Lines of code from which a file is listed to be read.
const LONG: usize = 500;

/// One Rust file of the repository.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// Every Rust file that git knows or would add, outside golden folders and `tidy` itself.
pub(super) fn rust_files(root: &Path) -> Result<Vec<Source>, Failure> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "--", "*.rs"];
    let list = String::from_utf8_lossy(&output_of("git", &list, root)?).into_owned();
    let mut files = Vec::new();
    for path in list.lines() {
        let full: PathBuf = root.join(path);
        if !full.is_file() {
            continue; // deleted, and not yet committed
        }
        let text = std::fs::read_to_string(&full)
            .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
        files.push(Source { path: path.to_owned(), text });
    }
    Ok(files)
}

pub(super) fn check(files: &[Source]) -> Vec<String> {
    files.iter().flat_map(findings).collect()
}

fn findings(file: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if !file.text.starts_with("//!") && !file.path.contains("/golden/") {
        found.push(format!("{}: the file does not begin with a //! header", file.path));
    }
    if file.path.starts_with("xtask/src/tidy/") {
        return found; // these files name what they look for
    }
    for (number, line) in (1..).zip(file.text.lines()) {
        for problem in problems(line) {
            found.push(format!("{}:{number}: {problem}", file.path));
        }
    }
    found
}

fn problems(line: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let comment = line.split_once("//").map_or("", |(_, comment)| comment);
    if ["TODO", "FIXME"].iter().any(|mark| comment.contains(mark)) && !names_issue(comment) {
        found.push("a TODO without its issue; write TODO(#12)");
    }
    let code = line.split_once("//").map_or(line, |(code, _)| code);
    let left_over = [
        ("dbg!(", "a dbg! left over"),
        ("todo!(", "todo! is not an answer"),
        ("unimplemented!(", "unimplemented! is not an answer"),
        ("#[ignore", "an ignored test; fix it or assert what happens"),
    ];
    found.extend(left_over.iter().filter(|(mark, _)| code.contains(mark)).map(|(_, why)| *why));
    found
}

/// `#` followed by a digit.
fn names_issue(comment: &str) -> bool {
    comment.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Files with many lines of code, longest first; tests at the end of a file do not count.
pub(super) fn long_files(files: &[Source]) -> Vec<String> {
    let mut long: Vec<(usize, &str)> = files
        .iter()
        .map(|file| (code_lines(&file.text), file.path.as_str()))
        .filter(|(lines, _)| *lines > LONG)
        .collect();
    long.sort_unstable_by(|a, b| b.cmp(a));
    long.iter().map(|(lines, path)| format!("{path} {lines} lines of code")).collect()
}

fn code_lines(text: &str) -> usize {
    let product = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    product.lines().filter(is_code).count()
}

#[cfg(test)]
mod tests {
    use super::{Source, code_lines, findings};

    fn found(text: &str) -> usize {
        findings(&Source { path: "crates/x/src/a.rs".to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn a_header_is_wanted() {
        assert_eq!(found("//! What it is.\n"), 0);
        assert_eq!(found("use std::fmt;\n"), 1);
    }

    #[test]
    fn a_todo_needs_its_issue() {
        assert_eq!(found("//! A.\n// TODO: later\n"), 1);
        assert_eq!(found("//! A.\n// TODO(#12): later\n"), 0);
        assert_eq!(found("//! A.\nlet todo = 1;\n"), 0);
    }

    #[test]
    fn left_overs_are_found() {
        assert_eq!(found("//! A.\ndbg!(x);\n"), 1);
        assert_eq!(found("//! A.\ntodo!()\n#[ignore]\n"), 2);
    }

    #[test]
    fn comments_blank_lines_and_tests_are_not_code() {
        let text = "//! A.\n\nfn a() {}\n// b\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\n";
        assert_eq!(code_lines(text), 1);
    }
}
