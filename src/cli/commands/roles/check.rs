//! `dbbuild roles check`: the file alone, the baseline beside it, and both on a server that is thrown away.

use super::baseline_is_stale;
use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::roles;
use crate::engine::session::environ;
use crate::error::{Error, Location, Result};
use crate::model::config::Config;
use crate::model::roles::{Attribute, Roles};
use serde_json::json;

pub(super) async fn run(context: &Context, no_server: bool) -> Result<Done> {
    let project = context.project()?;
    let file = roles::file(&project)?;
    let path = &project.config.paths.roles;
    let mut faults = of_version(&project.config, &file);
    let named = roles::named_by_baseline(&project);
    for name in named.iter().filter(|name| !file.roles.contains_key(*name) && !file.ignores(name)) {
        faults.push(
            Error::failed(format!("the baseline names the role `{name}`, which is not declared"))
                .at(Location::file(path))
                .help(format!("add `[role.{name}]`, or name it in `ignore`.")),
        );
    }
    let fetched = match context.named_environment() {
        Some(environment) => {
            project.config.environment(environment)?;
            let environ = environ::read(&project.root, Some(environment))?;
            let mut fetched = 0;
            for role in file.of(environment) {
                let Some((reference, at)) = &role.password else { continue };
                match roles::resolve(reference, &project.root, &environ).await {
                    Ok(_) => fetched += 1,
                    Err(e) => faults.push(e.at(at.clone())),
                }
            }
            Some(fetched)
        }
        None => None,
    };
    Error::all(faults).map_or(Ok(()), Err)?;
    let statements = match no_server {
        true => None,
        false => Some(roles::try_whole(&project.config, &file).await?),
    };
    let out = &context.output;
    if baseline_is_stale(&project) {
        let baseline = &project.config.paths.baseline;
        let which = "roles that newer files name are found by `dbbuild verify --worktree`";
        out.note(&format!("{baseline} is not of these files: {which}"));
    }
    out.line(&format!("{path} declares {}", count(file.roles.len(), "role")));
    if let Some(fetched) = fetched {
        out.line(&format!("{} can be fetched", count(fetched, "password")));
    }
    if let Some(statements) = statements {
        out.line(&format!(
            "{} ran in a throwaway server; a second time there was nothing to do",
            count(statements, "statement")
        ));
    }
    out.json(&json!({
        "path": path, "roles": file.roles.keys().collect::<Vec<_>>(), "passwords": fetched, "statements": statements,
    }));
    Ok(Done::Well)
}

/// What the pinned version has not.
fn of_version(config: &Config, file: &Roles) -> Vec<Error> {
    let Some(major) = config.postgres.version.filter(|major| *major < 16) else { return Vec::new() };
    let mut faults = Vec::new();
    for role in file.roles.values() {
        for one in &role.member_of {
            let odd = one.inherit.is_some_and(|inherit| inherit != role.has(Attribute::Inherit));
            if odd || !one.set {
                let message = format!("PostgreSQL {major} has no options inherit and set of a single membership");
                faults.push(Error::usage(message).at(one.at.clone()).help("they came with PostgreSQL 16."));
            }
        }
    }
    faults
}
