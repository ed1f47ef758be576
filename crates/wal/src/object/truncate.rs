//! Giving up records: the manifest says so first, then the objects go that hold nothing else.

use std::sync::Arc;

use super::channel::Shared;
use super::extents::{Extent, Kind};
use super::manifest_keeper::KeepError;
use crate::error::TruncateError;
use crate::log::Position;

/// Gives up records before `before`. While no whole object is free nothing is put, and a restart may
/// find the records again.
pub(super) async fn truncate(shared: &Arc<Shared>, before: Position) -> Result<(), TruncateError> {
    let mut keeper = shared.keeper.lock().await;
    let (after, given_up) = {
        let mut state = shared.state.lock();
        if let Some(refusal) = &state.refusal {
            return Err(TruncateError::NotOwner(refusal.clone()));
        }
        let end = Position(state.log.end);
        if before > end {
            let channel = shared.remote.channel.clone();
            return Err(TruncateError::BeyondEnd { channel, before, end });
        }
        let mut after = state.log.clone();
        let given_up = after.truncate(before.0);
        if given_up.is_empty() {
            state.log.trim = after.trim;
            return Ok(());
        }
        (after, given_up)
    };
    milvus_base::failpoint::hit("wal.object.before-manifest");
    if let Err(error) = keeper.put(shared, &after).await {
        if let KeepError::Fenced { by } = error {
            shared.fence(by);
        }
        return Err(error.into_truncate(shared));
    }
    milvus_base::failpoint::hit("wal.object.after-manifest");
    shared.state.lock().log.adopt_settled(after);
    drop(keeper);
    shared.remote.delete_all(deletable(shared, &given_up)).await;
    Ok(())
}

/// The paths of those `extents` that may be deleted: claims stay.
pub(super) fn deletable(shared: &Shared, extents: &[Extent]) -> Vec<String> {
    let gone = extents.iter().filter(|extent| extent.kind != Kind::Claim);
    gone.map(|extent| shared.remote.path(shared.of, extent)).collect()
}
