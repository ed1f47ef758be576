//! Named places at which a test can have the process end at once, as a crash there would end it.
//!
//! Code calls [`hit`] where a crash is interesting: between a file and the commit that names it, say.
//! That costs one load and a branch until [`arm`] was called, once, at the start of the program. What
//! the places are called is the business of those who call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the process is to end.
#[derive(Debug)]
struct Armed {
    name: String,
    /// How many more times it passes.
    passes: AtomicU64,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Why a text names no place to end at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailpointError {
    /// The text is not of this form.
    #[error("failpoint {0:?} is not of the form name or name=count, with a count of 1 or more")]
    Form(String),
    /// Nothing passes such a place.
    #[error("failpoint {name} is not known: want one of {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// Has the process end at the place that `spec` says: `name`, or `name=count` to end there at the
/// so manyth time only. The name must be among `known`. Only the first call counts.
pub fn arm(spec: &str, known: &[&str]) -> Result<(), FailpointError> {
    let (name, count) = parse(spec)?;
    if !known.contains(&name) {
        return Err(FailpointError::Unknown { name: name.to_owned(), known: known.join(", ") });
    }
    let _ = ARMED.set(Armed { name: name.to_owned(), passes: AtomicU64::new(count - 1) });
    Ok(())
}

fn parse(spec: &str) -> Result<(&str, u64), FailpointError> {
    let (name, count) = spec.split_once('=').unwrap_or((spec, "1"));
    let count = count.parse().ok().filter(|count| *count > 0);
    count.map(|count| (name, count)).ok_or_else(|| FailpointError::Form(spec.to_owned()))
}

/// Ends the process here if a test wants that: nothing is flushed, nothing is dropped.
pub fn hit(name: &str) {
    if let Some(armed) = ARMED.get() {
        end_if(armed, name);
    }
}

#[cold]
fn end_if(armed: &Armed, name: &str) {
    if is_reached(armed, name) {
        std::process::abort();
    }
}

fn is_reached(armed: &Armed, name: &str) -> bool {
    let pass = |left: u64| left.checked_sub(1);
    armed.name == name
        && armed.passes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pass).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_reached_at_the_time_that_was_asked_for() {
        let (name, count) = parse("flush.before-commit=3").unwrap();
        let armed = Armed { name: name.to_owned(), passes: AtomicU64::new(count - 1) };
        let reached: Vec<bool> = ["flush.before-commit", "other", "flush.before-commit", "other"]
            .into_iter()
            .chain(["flush.before-commit"])
            .map(|name| is_reached(&armed, name))
            .collect();
        assert_eq!(reached, [false, false, false, false, true]);
    }

    #[test]
    fn a_text_that_names_no_place_is_refused() {
        assert_eq!(parse("a"), Ok(("a", 1)));
        for bad in ["a=0", "a=x", "a="] {
            assert_eq!(parse(bad), Err(FailpointError::Form(bad.to_owned())));
        }
        let unknown = arm("c", &["a", "b"]).unwrap_err();
        assert_eq!(unknown.to_string(), "failpoint c is not known: want one of a, b");
    }
}
