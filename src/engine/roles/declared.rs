//! Declared roles where nobody logs in with them: throwaway servers, and the private server of a repository.

use super::{Planned, parsed, read_cluster};
use crate::engine::project::Project;
use crate::engine::session::Session;
use crate::error::Result;
use crate::model::baseline::{RoleNeed, role_statements};
use crate::model::config::Config;
use crate::model::roles::{Attribute, Roles, Wish, difference, identifier, literal};
use crate::model::sources::Sources;
use crate::model::sql::{made_roles, split};
use std::collections::{BTreeMap, BTreeSet};

/// The declared roles as an empty server gets them before anything else runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeFirst {
    /// Their names.
    pub names: BTreeSet<String>,
    /// The statements.
    pub sql: String,
}

/// What makes the declared roles that the sources do not make: of all environments, without login and without a
/// membership, since what a migration grants is the migration's own. Only the role that runs migrations belongs to its
/// declared groups, as it could not make them owners otherwise.
///
/// # Errors
/// The file is wrong.
pub fn made_first(config: &Config, sources: &Sources) -> Result<MadeFirst> {
    let Some(text) = &sources.roles else { return Ok(MadeFirst::default()) };
    let roles = parsed(config, text)?;
    let own = made_by_sources(sources);
    let runner = config.postgres.role.as_deref();
    let plain = |name: &&String| !own.contains(*name) && Some(name.as_str()) != runner && *name != "postgres";
    let needs: Vec<RoleNeed> =
        roles.roles.keys().filter(plain).map(|name| RoleNeed { name: name.clone(), member_of: Vec::new() }).collect();
    if needs.is_empty() {
        return Ok(MadeFirst::default());
    }
    let names: BTreeSet<String> = needs.iter().map(|need| need.name.clone()).collect();
    let made = role_statements(&needs);
    let Some(runner) = runner else { return Ok(MadeFirst { names, sql: made }) };
    // Made by the role itself, as far as it can be, it may grant them on.
    let mut sql = format!("SET ROLE {};\n{made}RESET ROLE;\n", identifier(runner));
    for group in roles.groups_of(runner).into_iter().filter(|group| names.contains(*group)) {
        sql.push_str(&membership(group, runner));
    }
    Ok(MadeFirst { names, sql })
}

/// From PostgreSQL 16 on the maker of a role is a member already, for administration alone: a bare GRANT leaves that so.
fn membership(group: &str, member: &str) -> String {
    let grant = format!("GRANT {} TO {}", identifier(group), identifier(member));
    format!(
        "DO {quote} BEGIN EXECUTE {} || CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 \
         THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END; END {quote};\n",
        literal(&grant),
        quote = dollar_quote(&grant)
    )
}

/// A dollar quote that the text does not hold.
fn dollar_quote(text: &str) -> String {
    let mut tag = "$dbbuild$".to_owned();
    while text.contains(&tag) {
        tag.insert(tag.len() - 1, '_');
    }
    tag
}

/// Roles that the sources make by themselves: made before, they would be in the way of a file that does not ask whether
/// they are there, and the baseline would not know them as the sources' own.
fn made_by_sources(sources: &Sources) -> BTreeSet<String> {
    let migrations = sources.all_migrations();
    let scripts = migrations.iter().map(|migration| &migration.up);
    let files = sources.repeatable.iter().chain(&sources.init).map(|file| &file.script);
    let texts = scripts.chain(files).map(|script| script.text.as_ref());
    texts.filter(|text| mentions_role(text)).flat_map(statements).collect()
}

/// A quick look before the lexer's.
fn mentions_role(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["role", "user", "group"].iter().any(|word| lower.contains(word))
}

fn statements(text: &str) -> Vec<String> {
    split(text).unwrap_or_default().iter().flat_map(|one| made_roles(&text[one.range.clone()])).collect()
}

/// What makes the declared roles that a server lacks, and touches none that it has: of this environment as they are declared,
/// of others without login; without passwords, and without groups that are nowhere.
///
/// # Errors
/// The file is wrong, or this role may not make one.
pub async fn missing_locally(
    project: &Project,
    sources: &Sources,
    environment: &str,
    session: &Session,
) -> Result<Planned> {
    let none = Planned { difference: Default::default(), verifiers: BTreeMap::new() };
    let Some(text) = &sources.roles else { return Ok(none) };
    let mut roles = parsed(&project.config, text)?;
    let own = made_by_sources(sources);
    roles.roles.retain(|name, _| !own.contains(name));
    if roles.roles.is_empty() {
        return Ok(none);
    }
    let cluster = read_cluster(session).await?;
    let names: BTreeSet<String> = roles.roles.keys().chain(cluster.roles.keys()).cloned().collect();
    for role in roles.roles.values_mut() {
        if !role.is_for(environment) {
            role.attributes.remove(&Attribute::Login);
            role.environments.clear();
        }
        role.member_of.retain(|one| names.contains(&one.role));
    }
    roles.roles.retain(|name, _| !cluster.roles.contains_key(name));
    let roles = Roles { prune: false, ..roles };
    let empty = BTreeSet::new();
    let wish = Wish { roles: &roles, environment, passwords: &empty, named: &empty, owner: None };
    let mut found = difference(&wish, &cluster)?;
    found.undeclared.clear();
    Ok(Planned { difference: found, ..none })
}
