//! Whose a bucket is: it says so itself, in an object that each start of a server puts anew.
//!
//! ```text
//! installation      {name of the catalogue} {name of its last start}
//! ```
//!
//! A catalogue that is an older copy, or of another bucket, names files that are gone and lacks what was
//! written since: compared with it a sound bucket looks lost, and a repair would make it so.

use milvus_storage::StoreError;

use crate::catalogue::Contents;
use crate::error::CheckError;
use crate::finding::{Finding, Severity};
use crate::newer::OLD_CATALOGUE;
use crate::target::Target;

/// The object that says whose a bucket is.
pub(crate) const OWNER: &str = "installation";

/// What there is to say if the bucket was not last used with this catalogue. Nothing may be repaired then.
///
/// Errors: [`CheckError::Foreign`] if it is of another catalogue altogether.
pub(crate) async fn check(
    target: &Target,
    contents: &Contents,
) -> Result<Option<Finding>, CheckError> {
    let placement = contents.placement.as_ref().filter(|_| target.may_be_in_use);
    let Some(placement) = placement else { return Ok(None) };
    let starts = [&placement.start, &placement.next_start];
    let text = match target.store.get(OWNER).await {
        Ok(object) => String::from_utf8_lossy(&object.bytes).into_owned(),
        // The first start notes what it will say before it says it.
        Err(StoreError::NotFound { .. }) if placement.start.is_empty() => return Ok(None),
        Err(StoreError::NotFound { .. }) => {
            let what = "it is not there, though a server has used the bucket with this catalogue: the \
                        bucket is another one, or was emptied";
            let finding = Finding::new(Severity::Missing, OWNER, what);
            return Ok(Some(finding.advise("check with the configuration of the server")));
        }
        Err(error) => return Err(error.into()),
    };
    let (owner, start) = text.split_once(' ').unwrap_or((&text, ""));
    if owner != placement.installation {
        return Err(CheckError::Foreign {
            place: placement.data.clone(),
            got: owner.to_owned(),
            want: placement.installation.clone(),
        });
    }
    if starts.iter().any(|known| !known.is_empty() && *known == start) {
        return Ok(None);
    }
    let known = starts.map(String::as_str).join(" ");
    let what = format!(
        "the last start on the bucket was {start}, the catalogue knows of {}: it is an older copy",
        known.trim()
    );
    Ok(Some(Finding::new(Severity::Unreadable, OWNER, what).advise(OLD_CATALOGUE)))
}
