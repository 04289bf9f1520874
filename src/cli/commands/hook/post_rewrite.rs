//! `post-rewrite`: tells what a rebase or amended commit means for the local database.

use crate::cli::{Context, Done};
use crate::error::Result;

/// git gives what rewrote the commits, and on stdin which ones; neither matters for what the tree says now.
///
/// # Errors
/// The files or the database cannot be read.
pub(super) async fn run(context: &Context) -> Result<Done> {
    super::post_merge::run(context).await
}
