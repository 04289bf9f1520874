//! `post-rewrite`: what a rebase or amended commit means for the local database.

use crate::cli::{Context, Done};
use crate::engine::switch::Moment;
use crate::error::Result;

/// git gives what rewrote the commits, and on stdin which ones; those do not matter for what the tree says now.
///
/// # Errors
/// As after a merge.
pub(super) async fn run(context: &Context, given: &[String]) -> Result<Done> {
    // The pre-commit framework passes nothing on.
    let what = given.first().cloned().or_else(|| std::env::var("PRE_COMMIT_REWRITE_COMMAND").ok());
    super::post_merge::run(context, Moment::Rewrite(what.as_deref().unwrap_or("rebase"))).await
}
