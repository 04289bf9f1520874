//! `dbbuild hook NAME`: what the scripts in `hooks/` call. A hook checks or tells; it never mends what git sees.

mod post_checkout;
mod post_merge;
mod post_rewrite;
mod pre_commit;
mod pre_push;

use crate::cli::{Context, Done};
use crate::error::Result;

/// Arguments of `hook`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which hook
    #[command(subcommand)]
    hook: Hook,
}

/// What git gives a hook on the command line.
#[derive(Debug, clap::Args)]
struct Given {
    /// Whatever git gives
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The hooks that git calls.
#[derive(Debug, clap::Subcommand)]
enum Hook {
    /// Judges the index
    PreCommit(Given),
    /// Judges the index that a merge made
    PreMergeCommit(Given),
    /// Judges the tips that are pushed
    PrePush(Given),
    /// After a merge or pull: compares the local database with the tree
    PostMerge(Given),
    /// After a checkout: compares the local database with the tree
    PostCheckout(Given),
    /// After a rebase or amend: compares the local database with the tree
    PostRewrite(Given),
}

/// The cheap cases, without a runtime: nothing of the database is staged, or what is staged was proved before.
///
/// # Errors
/// The index cannot be read.
pub fn shortcut(context: &Context, args: &Args) -> Result<Option<Done>> {
    match args.hook {
        Hook::PreCommit(_) | Hook::PreMergeCommit(_) => pre_commit::shortcut(context),
        _ => Ok(None),
    }
}

/// Runs the hook.
///
/// # Errors
/// What is staged must not be committed, or what is pushed must not be.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    match args.hook {
        Hook::PreCommit(_) | Hook::PreMergeCommit(_) => pre_commit::run(context).await,
        Hook::PrePush(given) => pre_push::run(context, &given.words).await,
        Hook::PostMerge(_) => post_merge::run(context).await,
        Hook::PostCheckout(given) => post_checkout::run(context, &given.words).await,
        Hook::PostRewrite(_) => post_rewrite::run(context).await,
    }
}
