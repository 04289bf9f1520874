//! Before a squash: the databases that are known must have all of what it stands for. One that is older would be refused
//! afterwards, and had to go back to the commit before.

use super::Intent;
use crate::engine::fleet::Fleet;
use crate::engine::project::Project;
use crate::engine::target::{self, Start, Target};
use crate::error::{Error, Result};
use crate::model::config::EnvAddress;
use crate::model::migration::Migration;
use crate::model::squash::{self, Standing};
use std::sync::Arc;

/// What was found out by asking the databases.
#[derive(Debug, Default)]
pub struct Asked {
    /// Environments whose databases have all migrations, or none that dbbuild ran.
    pub valid: Vec<String>,
    /// Environments that could not be reached, and that somebody vouched for.
    pub unreachable: Vec<String>,
}

/// Asks the database of every configured environment.
///
/// # Errors
/// One lacks a migration that is to be squashed; one cannot be reached, and nobody vouched for it; or (exit status 2) no
/// environment has a name that was vouched for.
pub async fn refuse_older(project: &Project, intent: &Intent, vouched: &[String]) -> Result<Asked> {
    for name in vouched {
        project.config.environment(name)?;
    }
    let stand_in = stand_in(intent)?;
    let mut asked = Asked::default();
    let mut faults = Vec::new();
    for name in project.config.env.keys() {
        match look(project, name, &stand_in).await {
            Ok(None) => asked.valid.push(name.clone()),
            Ok(Some((database, wrong))) => faults.push(older(name, &database, &wrong)),
            Err(_) if vouched.contains(name) => asked.unreachable.push(name.clone()),
            Err(why) => faults.push(unreachable(name, &why)),
        }
    }
    Error::all(faults).map_or(Ok(asked), Err)
}

/// A migration with the list of the squash, to compare with before its text is made.
fn stand_in(intent: &Intent) -> Result<Migration> {
    let version = intent.list.last().map_or("0", |last| last.version.as_str());
    let text = squash::render(&intent.list, None, "nothing", "");
    Migration::parse(&format!("{version}_squashed.sql"), text.as_bytes())
}

/// The first database of an environment that has not all, and what it lacks.
async fn look(project: &Project, name: &str, squash: &Migration) -> Result<Option<(String, Vec<String>)>> {
    let embedded = matches!(project.config.environment(name)?.address(), EnvAddress::EmbeddedDatabase(_));
    // The private server is at hand, whether it runs or not; one that was never made has nothing to lack.
    let start = match embedded && target::embedded(project)?.status().await?.exists {
        true => Start::IfNeeded,
        false => Start::Never,
    };
    let targets = match Fleet::find(project, Some(name), start, Arc::new(|_| {})).await? {
        Some(fleet) => fleet.members.into_iter().map(|member| member.target).collect(),
        None => vec![Target::find(project, Some(name), None, start).await?],
    };
    for target in targets {
        let (session, found) = target.look().await?;
        if let Some(session) = session {
            session.close().await;
        }
        if let Standing::Between(wrong) = squash::standing(squash, &found.history) {
            return Ok(Some((target.describe(), wrong)));
        }
    }
    Ok(None)
}

fn older(name: &str, database: &str, wrong: &[String]) -> Error {
    Error::failed(format!("{database} (environment {name}) does not have all that is to be squashed"))
        .cause(wrong.first().cloned().unwrap_or_default())
        .help(format!(
            "bring it up first (`dbbuild apply --env {name}`, or `dbbuild` for the local one), or squash before an older \
             version. Nothing was changed."
        ))
}

fn unreachable(name: &str, why: &Error) -> Error {
    Error::failed(format!("the database of the environment {name} cannot be asked which migrations it has"))
        .cause(why)
        .help(format!(
            "make it reachable; or, where you know that it has them all, say so with `--unreachable {name}`. Nothing was \
             changed."
        ))
}
