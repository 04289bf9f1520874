//! `post-checkout`: what another branch means for the local database.

use crate::cli::{Context, Done};
use crate::engine::switch::Moment;
use crate::error::Result;

/// git gives the commits before and after, and whether a branch was checked out (`1`) or only files (`0`).
///
/// # Errors
/// As after a merge.
pub(super) async fn run(context: &Context, given: &[String]) -> Result<Done> {
    super::post_merge::run(context, Moment::Checkout(given)).await
}
