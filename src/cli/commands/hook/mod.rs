//! `dbbuild hook NAME`: what the scripts in `hooks/` call. A hook checks or tells; it never mends what git sees.

mod merge_driver;
mod post_checkout;
mod post_merge;
mod post_rewrite;
mod pre_commit;
mod pre_push;

use crate::cli::{Context, Done};
use crate::engine::hooks;
use crate::engine::switch::Moment;
use crate::error::{Error, Result};

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
    /// Merges the baseline of two sides
    MergeDriver(merge_driver::Args),
}

/// The cheap cases, without a runtime: nothing of the database is staged, or what is staged was proved before.
///
/// # Errors
/// The index cannot be read.
pub fn shortcut(context: &Context, args: &Args) -> Result<Option<Done>> {
    if !matches!(args.hook, Hook::PreCommit(_) | Hook::PreMergeCommit(_)) {
        return Ok(None);
    }
    for context in contexts(context) {
        if pre_commit::shortcut(&context)?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(Done::Well))
}

/// Runs the hook.
///
/// # Errors
/// What is staged must not be committed, or what is pushed must not be.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    if let Hook::MergeDriver(args) = args.hook {
        return merge_driver::run(context, args).await;
    }
    let push = match &args.hook {
        Hook::PrePush(given) => Some(pre_push::Push::read(&given.words)?),
        _ => None,
    };
    let mut faults = Vec::new();
    for context in contexts(context) {
        let done = match &args.hook {
            Hook::PreCommit(_) | Hook::PreMergeCommit(_) => pre_commit::run(&context).await,
            Hook::PrePush(_) => match &push {
                Some(push) => pre_push::run(&context, push).await,
                None => Ok(Done::Well),
            },
            Hook::PostMerge(_) => post_merge::run(&context, Moment::Merge).await,
            Hook::PostCheckout(given) => post_checkout::run(&context, &words(given, &CHECKOUT)).await,
            Hook::PostRewrite(given) => post_rewrite::run(&context, &words(given, &REWRITE)).await,
            Hook::MergeDriver(_) => Ok(Done::Well),
        };
        faults.extend(done.err());
    }
    Error::all(faults).map_or(Ok(Done::Well), Err)
}

/// One for each project of the repository. git runs hooks at the top of the work tree; a project need not be there.
fn contexts(context: &Context) -> Vec<Context> {
    if context.globals.directory.is_some() || context.globals.config.is_some() {
        return vec![context.clone()];
    }
    let at = |folder| Context { folder, ..context.clone() };
    hooks::projects(&context.folder).into_iter().map(at).collect()
}

/// What git gave a post-checkout hook, in the pre-commit framework's words.
const CHECKOUT: [&str; 3] = ["PRE_COMMIT_FROM_REF", "PRE_COMMIT_TO_REF", "PRE_COMMIT_CHECKOUT_TYPE"];
/// What git gave a post-rewrite hook.
const REWRITE: [&str; 1] = ["PRE_COMMIT_REWRITE_COMMAND"];

/// The pre-commit framework passes no arguments on, and tells in variables what git gave.
fn words(given: &Given, variables: &[&str]) -> Vec<String> {
    if !given.words.is_empty() {
        return given.words.clone();
    }
    variables.iter().filter_map(|name| std::env::var(name).ok()).collect()
}
