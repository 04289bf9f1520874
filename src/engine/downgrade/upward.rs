//! A version that the database has not come to yet: `plan --to` plans the way up to it, as `apply --to` goes it.

use super::destination::version;
use crate::engine::deployment::{self, PlanRequest, Planned};
use crate::engine::project::Project;
use crate::engine::target::Target;
use crate::error::Result;
use crate::model::checksum::Checksum;
use crate::model::plan::History;
use crate::model::reconcile::{Goal, leaving};
use crate::model::sources::Sources;
use crate::model::version::Version;

/// The version of a file here that a target names; that of anything else is for a downgrade alone.
pub fn version_here(here: &Sources, wanted: &str) -> Option<Version> {
    let Goal::Version(Some(version)) = version(here, &History::default(), wanted)? else { return None };
    here.migration(&version).is_some().then_some(version)
}

/// Plans the way up to a version; none where the way to it is a downgrade, or the rest of one that was interrupted.
///
/// # Errors
/// As [`deployment::plan`].
pub async fn upward(project: &Project, here: &Sources, target: &Target, to: &Version) -> Result<Option<Planned>> {
    let (session, found) = target.look().await?;
    if let Some(session) = session {
        session.close().await;
    }
    if !leaving(&Goal::Version(Some(to.clone())), here, &found.history).is_empty() {
        return Ok(None);
    }
    let uncommitted = deployment::uncommitted(project);
    let request = PlanRequest { to: Some(to.clone()), uncommitted, ..PlanRequest::default() };
    let planned = deployment::plan(project, here, target, request).await?;
    let is_left_over = planned.is_empty && found.history.files.values().any(|checksum| *checksum == Checksum::STALE);
    Ok((!is_left_over).then_some(planned))
}
