//! A panic caught at the edge of a thread, as an error.

use std::any::Any;

/// Work on another thread panicked; its caller gets this instead of a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{work} panicked: {message}")]
pub struct Panicked {
    /// What was running.
    pub work: &'static str,
    /// What the panic said.
    pub message: String,
}

impl Panicked {
    pub(crate) fn new(work: &'static str, payload: &(dyn Any + Send)) -> Self {
        let message = if let Some(text) = payload.downcast_ref::<&str>() {
            (*text).to_owned()
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.clone()
        } else {
            "no message".to_owned()
        };
        Self { work, message }
    }
}

impl From<Panicked> for std::io::Error {
    fn from(panicked: Panicked) -> Self {
        Self::other(panicked)
    }
}
