//! What a remote store said when it did not do as asked, and what that means for the caller.
//!
//! Answers that are no success are caught where requests leave ([`super::http`]) and travel through
//! the `object_store` crate as the source of its errors; [`Answer::of`] finds them again. So the
//! status and the error code decide here, and never a text made for people.

use std::error::Error;
use std::io;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

/// What a remote store, or the way to it, answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteCause {
    /// The store refused.
    #[error("it answered {status}{}", spaced(code, message))]
    Status {
        /// The HTTP status.
        status: u16,
        /// Its error code, such as `SlowDown`; may be empty.
        code: String,
        /// Its words; may be empty.
        message: String,
    },
    /// The bucket is in another region.
    #[error("the bucket is in region {want}, and minio.region says {got}")]
    WrongRegion {
        /// The region of the settings.
        got: String,
        /// The region that the store names.
        want: String,
    },
    /// Who answered is not whom we trust.
    #[error("its certificate is refused: {0} (minio.ssl.tlsCACert says whom to trust besides)")]
    Certificate(String),
    /// No answer within the time for one request.
    #[error("it did not answer within {timeout_ms} ms")]
    Timeout {
        /// The time, in milliseconds.
        timeout_ms: u64,
    },
    /// The connection failed, or the answer made no sense.
    #[error("{0}")]
    Transport(String),
    /// No credentials could be had for it.
    #[error("no credentials: {0}")]
    Credentials(String),
}

fn spaced(code: &str, message: &str) -> String {
    match (code, message) {
        ("", "") => String::new(),
        (code, "") => format!(" {code}"),
        ("", message) => format!(": {message}"),
        (code, message) => format!(" {code}: {message}"),
    }
}

/// Marks an answer of the service that credentials come from.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct CredentialsRefused(pub(super) RemoteCause);

impl CredentialsRefused {
    /// What `error`, which came instead of credentials, says.
    pub(super) fn of(error: &object_store::Error) -> Self {
        if let Some(Self(cause)) = find::<Self>(error) {
            return Self(cause.clone());
        }
        let said = find::<RemoteCause>(error).cloned();
        Self(said.unwrap_or_else(|| RemoteCause::Transport(innermost(error))))
    }

    /// Whether asking again could help: not where who we are was looked at and refused.
    fn may_pass(&self) -> bool {
        !matches!(self.0, RemoteCause::Status { status, .. }
            if (400..500).contains(&status) && !matches!(status, 408 | 429))
    }
}

/// An answer of the store that is no success, and how long it asked us to stay away.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub(super) struct Answered {
    #[source]
    pub(super) cause: RemoteCause,
    pub(super) retry_after: Option<Duration>,
}

/// How long the store that answered with `error` asked us to stay away.
pub(super) fn retry_after(error: &object_store::Error) -> Option<Duration> {
    find::<Answered>(error)?.retry_after
}

/// What an attempt that gave no value means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// No such object.
    NotFound,
    /// No such bucket.
    NoBucket,
    /// A condition of the request does not hold.
    Condition,
    /// Nothing of the object lies in the range.
    Range,
    /// Not with these credentials.
    Denied(RemoteCause),
    /// Not like this: trying again would not help.
    Refused(RemoteCause),
    /// Trouble that may pass. `in_doubt`: the request may nevertheless have been carried out.
    Trouble { cause: RemoteCause, in_doubt: bool },
}

impl Answer {
    /// What `error` means.
    pub(super) fn of(error: &object_store::Error) -> Self {
        if let Some(refused) = find::<CredentialsRefused>(error) {
            let cause = RemoteCause::Credentials(refused.to_string());
            return match refused.may_pass() {
                true => Self::Trouble { cause, in_doubt: false },
                false => Self::Denied(cause),
            };
        }
        if let Some(cause) = find::<RemoteCause>(error) {
            return Self::of_cause(cause);
        }
        if let Some(refused) = chain(error).find_map(refused_certificate) {
            return Self::of_cause(&RemoteCause::Certificate(refused));
        }
        let cause = RemoteCause::Transport(innermost(error));
        // A request that was never sent cannot have been carried out.
        let unsent = find::<HttpError>(error)
            .is_some_and(|error| matches!(error.kind(), HttpErrorKind::Connect));
        Self::Trouble { cause, in_doubt: !unsent }
    }

    /// What `cause` means.
    pub(super) fn of_cause(cause: &RemoteCause) -> Self {
        let cause = cause.clone();
        if matches!(cause, RemoteCause::WrongRegion { .. } | RemoteCause::Certificate(_)) {
            return Self::Refused(cause);
        }
        let RemoteCause::Status { status, code, .. } = &cause else {
            return Self::Trouble { cause, in_doubt: true };
        };
        match (*status, code.as_str()) {
            (404, "NoSuchBucket" | "ContainerNotFound") => Self::NoBucket,
            (404, _) => Self::NotFound,
            (304 | 412, _) | (409, "BlobAlreadyExists") => Self::Condition,
            (416, _) => Self::Range,
            (401 | 403, _) => Self::Denied(cause),
            (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => Self::Denied(cause),
            // Racing conditional writes, a bucket that is being made, or too many requests: nothing
            // was done.
            (409 | 429, _) | (503, "SlowDown") => Self::Trouble { cause, in_doubt: false },
            (501, _) => Self::Refused(cause),
            (408 | 500..=599, _) | (400, "RequestTimeout") => {
                Self::Trouble { cause, in_doubt: true }
            }
            _ => Self::Refused(cause),
        }
    }
}

fn chain(error: &object_store::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |error: &&(dyn Error + 'static)| (*error).source())
}

fn find<T: Error + 'static>(error: &object_store::Error) -> Option<&T> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// What TLS has against the server's certificate, if that is what `error` says. What lies within an
/// [`io::Error`] is not in the chain.
fn refused_certificate(mut error: &(dyn Error + 'static)) -> Option<String> {
    while let Some(within) = error.downcast_ref::<io::Error>() {
        error = within.get_ref()?;
    }
    let refused = |error: &&rustls::Error| matches!(error, rustls::Error::InvalidCertificate(_));
    error.downcast_ref().filter(refused).map(ToString::to_string)
}

/// The last and most telling message of a chain of errors.
fn innermost(error: &object_store::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// Whether an answer says that requests for region `got` are not for this server, but for `want`: a
/// redirect, or a signature that it does not take.
pub(super) fn wrong_region(
    status: u16,
    code: &str,
    got: &str,
    want: Option<String>,
) -> Option<RemoteCause> {
    let of_regions = matches!(
        (status, code),
        (301 | 307, _)
            | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
    );
    let want = want.filter(|want| of_regions && !want.is_empty() && want != got)?;
    Some(RemoteCause::WrongRegion { got: got.to_owned(), want })
}

/// The code and the message in an error's XML body; whatever is missing is empty.
pub(super) fn code_and_message(body: &str) -> (String, String) {
    let text = |name| element(body, name).unwrap_or_default();
    (text("Code"), text("Message"))
}

/// The text of the first element `name` in an error's XML body.
pub(super) fn element(body: &str, name: &str) -> Option<String> {
    let rest = body.split_once(&format!("<{name}>"))?.1;
    let text = rest.split_once(&format!("</{name}>"))?.0;
    Some(text.chars().take(300).filter(|c| !c.is_control()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, code: &str) -> RemoteCause {
        RemoteCause::Status { status, code: code.to_owned(), message: String::new() }
    }

    #[test]
    fn answers_are_told_apart_by_status_and_code() {
        let of = |number, code| Answer::of_cause(&status(number, code));
        assert_eq!(of(404, ""), Answer::NotFound);
        assert_eq!(of(404, "NoSuchKey"), Answer::NotFound);
        assert_eq!(of(404, "NoSuchBucket"), Answer::NoBucket);
        assert_eq!(of(412, "PreconditionFailed"), Answer::Condition);
        assert_eq!(of(409, "BlobAlreadyExists"), Answer::Condition);
        assert!(matches!(
            of(409, "ConditionalRequestConflict"),
            Answer::Trouble { in_doubt: false, .. }
        ));
        assert!(matches!(of(503, "SlowDown"), Answer::Trouble { in_doubt: false, .. }));
        assert!(matches!(of(503, ""), Answer::Trouble { in_doubt: true, .. }));
        assert!(matches!(of(500, "InternalError"), Answer::Trouble { in_doubt: true, .. }));
        assert!(matches!(of(403, "SignatureDoesNotMatch"), Answer::Denied(_)));
        assert!(matches!(of(400, "EntityTooLarge"), Answer::Refused(_)));
        assert!(matches!(of(301, "PermanentRedirect"), Answer::Refused(_)));
    }

    #[test]
    fn a_refused_certificate_is_found_however_deep_it_lies() {
        let refused = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let deep = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, refused));
        let generic = |source| object_store::Error::Generic { store: "S3", source };
        let answer = Answer::of(&generic(Box::new(deep)));
        assert!(
            matches!(&answer, Answer::Refused(RemoteCause::Certificate(words))
                if words.contains("UnknownIssuer")),
            "{answer:?}"
        );
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let answer = Answer::of(&generic(Box::new(io::Error::other(reset))));
        assert!(matches!(answer, Answer::Trouble { in_doubt: true, .. }), "{answer:?}");
    }

    #[test]
    fn answers_about_who_asks_are_denials() {
        let of = |number, code| Answer::of_cause(&status(number, code));
        for code in ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"] {
            assert!(matches!(of(400, code), Answer::Denied(_)), "{code}");
        }
        let of_issuer = |number| {
            let refused = CredentialsRefused(status(number, ""));
            Answer::of(&object_store::Error::Generic { store: "S3", source: Box::new(refused) })
        };
        assert!(matches!(of_issuer(403), Answer::Denied(RemoteCause::Credentials(_))));
        for may_pass in [408, 429, 500, 503] {
            assert!(matches!(of_issuer(may_pass), Answer::Trouble { in_doubt: false, .. }));
        }
    }

    #[test]
    fn a_region_is_wrong_only_where_the_answer_is_about_regions() {
        let want = || Some("eu-west-1".to_owned());
        let wrong = |status, code, want| wrong_region(status, code, "us-east-1", want).is_some();
        assert!(wrong(301, "PermanentRedirect", want()));
        assert!(wrong(400, "AuthorizationHeaderMalformed", want()));
        // Servers name their region in other answers too.
        assert!(!wrong(400, "EntityTooLarge", want()) && !wrong(403, "AccessDenied", want()));
        for same in [None, Some(String::new()), Some("us-east-1".to_owned())] {
            assert!(!wrong(301, "PermanentRedirect", same));
        }
    }

    #[test]
    fn bodies_give_code_and_message_or_nothing() {
        let body = "<?xml?><Error><Code>SlowDown</Code><Message>Reduce\n it</Message></Error>";
        assert_eq!(code_and_message(body), ("SlowDown".to_owned(), "Reduce it".to_owned()));
        for odd in ["", "<Code>", "<Code></Message>", "</Code><Code>"] {
            assert_eq!(code_and_message(odd), (String::new(), String::new()));
        }
        assert_eq!(status(503, "SlowDown").to_string(), "it answered 503 SlowDown");
    }
}
