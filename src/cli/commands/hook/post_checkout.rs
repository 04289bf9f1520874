//! `post-checkout`: tells what another branch means for the local database.

use crate::cli::{Context, Done};
use crate::error::Result;

/// git gives the commits before and after, and whether a branch was checked out (`1`) or only files (`0`).
///
/// # Errors
/// The files or the database cannot be read.
pub(super) async fn run(context: &Context, given: &[String]) -> Result<Done> {
    if given.last().is_some_and(|flag| flag == "0") {
        return Ok(Done::Well);
    }
    super::post_merge::run(context).await
}
