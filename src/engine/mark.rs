//! Writing the mark that says which environment a database is, after the guard has heard what somebody confirmed.

use crate::engine::history;
use crate::engine::project::Project;
use crate::engine::target::{self, Target};
use crate::error::{Error, Result};
use crate::model::guard::{self, Mark, Standing};

/// What somebody wants.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The environment.
    pub name: &'a str,
    /// Its name again, as somebody gave it.
    pub confirm: Option<&'a str>,
    /// The protected environment that it is marked as now, given to make it an unprotected one.
    pub unprotect: Option<&'a str>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It was marked.
    Now,
    /// It carried this very mark.
    Before,
}

/// Marks a database, under its lock. `ask` may still get the confirmation from a person, and hears whether the database is
/// empty; `waiting` hears what is waited for.
///
/// # Errors
/// The guard refuses, or the server does.
pub async fn mark(
    project: &Project,
    target: &Target,
    request: &Request<'_>,
    ask: &dyn Fn(bool) -> Option<String>,
    waiting: &dyn Fn(&str),
) -> Result<Marked> {
    let session = target.connect_to_write(&project.config).await?;
    let found = target.read(&session).await?;
    let to = target::selected(&project.config, request.name);
    // Of many databases those that are done cost a look; one alone is marked again, with a newer date.
    if target.common.is_some()
        && let Standing::Valid(mark) = found.facts.standing()
        && mark.environment == request.name
        && mark.protected == to.is_protected()
    {
        return Ok(Marked::Before);
    }
    if !found.may_write {
        return Err(history::may_not_write(&session, &found).await);
    }
    let confirm = request.confirm.map(str::to_owned).or_else(|| ask(found.facts.empty));
    guard::judge_mark(&found.facts, &to, confirm.as_deref(), request.unprotect)?;
    let binding = found.facts.binding.clone();
    let mark = Mark { environment: request.name.to_owned(), protected: to.is_protected(), binding };
    let _lock = target.lock(&project.config, waiting).await?;
    session
        .simple(&format!("BEGIN; {}; {}; {}; COMMIT", history::RENEW, history::SCHEMA, history::write_mark(&mark)))
        .await
        .map_err(|e| Error::failed("cannot write the mark").cause(e))?;
    Ok(Marked::Now)
}
