//! Who may ask: access keys with their secrets, which may be for a session and end.

use std::collections::HashMap;

use http::{HeaderMap, header};
use milvus_base::clock;
use parking_lot::Mutex;
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

/// What belongs to an access key.
#[derive(Clone, Debug)]
pub struct Key {
    /// The secret that requests are signed with.
    pub secret: String,
    /// What every request must carry besides (`x-amz-security-token`), for keys of a session.
    pub session_token: Option<String>,
    /// When it ends, in milliseconds since the epoch; `u64::MAX` for never.
    pub ends_ms: u64,
}

/// The keys that a server knows.
#[derive(Debug, Default)]
pub struct Keys(Mutex<HashMap<String, Key>>);

/// Why a request is refused before its signature is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

impl Keys {
    /// Knows `access_key` from now on.
    pub fn add(&self, access_key: &str, key: Key) {
        self.0.lock().insert(access_key.to_owned(), key);
    }

    /// Forgets all keys.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Whether the key that signed a request is of a session, and the request of that session. Keys
    /// that are not known are left to the check of signatures.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let scope =
            headers.get(header::AUTHORIZATION).and_then(|value| scope(value.to_str().ok()?));
        let key = scope.and_then(|scope| self.0.lock().get(scope.access_key).cloned());
        let Some(Key { session_token, ends_ms, .. }) = key else {
            return Ok(());
        };
        let got = headers.get("x-amz-security-token").and_then(|token| token.to_str().ok());
        if got != session_token.as_deref() {
            let message = "The provided token is malformed or otherwise invalid.";
            return Err(Refusal { code: "InvalidToken", message });
        }
        if clock::now_ms() >= ends_ms {
            let message = "The provided token has expired.";
            return Err(Refusal { code: "ExpiredToken", message });
        }
        Ok(())
    }
}

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    access_key: &'a str,
    pub(crate) region: &'a str,
}

/// The scope in an `Authorization` header: `... Credential={key}/{date}/{region}/s3/aws4_request, ...`.
pub(crate) fn scope(authorization: &str) -> Option<Scope<'_>> {
    let credential = authorization.split_once("Credential=")?.1.split(',').next()?;
    let mut parts = credential.split('/');
    let access_key = parts.next()?;
    Some(Scope { access_key, region: parts.nth(1)? })
}

/// The keys, for the check of signatures.
pub(crate) struct Auth(pub(crate) std::sync::Arc<Keys>);

#[async_trait::async_trait]
impl S3Auth for Auth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.0.lock().get(access_key) {
            Some(key) => Ok(SecretKey::from(key.secret.as_str())),
            None => Err(s3_error!(InvalidAccessKeyId)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_from_headers() {
        let text = "AWS4-HMAC-SHA256 Credential=AK/20260102/eu-west-1/s3/aws4_request, Signature=x";
        assert_eq!(scope(text), Some(Scope { access_key: "AK", region: "eu-west-1" }));
        for odd in ["", "Basic x", "Credential=AK", "Credential=AK/1"] {
            assert_eq!(scope(odd), None, "{odd}");
        }
    }
}
