//! Declared roles where nobody logs in with them: throwaway servers, and the private server of a repository.

use super::words::Words;
use super::{Planned, parsed, places, read_cluster};
use crate::engine::project::Project;
use crate::engine::session::Session;
use crate::error::Result;
use crate::model::baseline::{RoleNeed, role_statements};
use crate::model::config::Config;
use crate::model::placeholder::Values;
use crate::model::roles::{Attribute, Roles, Wish, difference};
use crate::model::sources::Sources;
use crate::model::sql::{identifier, literal, made_roles, split};
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
    let needs: Vec<RoleNeed> = roles
        .roles
        .keys()
        .filter(|name| !own.contains(*name) && is_made(name, runner))
        .map(|name| RoleNeed { name: name.clone(), member_of: Vec::new() })
        .collect();
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

/// The roles whose settings in a database a roles file declares: `dbbuild roles plan` is who compares these.
///
/// # Errors
/// The file is wrong.
pub fn with_settings_in(config: &Config, text: Option<&str>, database: &str) -> Result<BTreeSet<String>> {
    let Some(text) = text else { return Ok(BTreeSet::new()) };
    let declared = parsed(config, text)?.roles.into_iter();
    Ok(declared.filter(|(_, role)| role.settings_in.contains_key(database)).map(|(name, _)| name).collect())
}

/// Whether a declared role is made there: whoever runs the server, and whoever runs migrations, are there already.
fn is_made(name: &str, runner: Option<&str>) -> bool {
    Some(name) != runner && name != "postgres"
}

/// What a baseline takes from the roles file, in a form of its own: of the roles that [`made_first`] makes those that the
/// files speak of, and which of them whoever runs migrations belongs to. `None` where it takes nothing.
///
/// A role that a file finds without its name standing anywhere (in a catalog, or put together from texts) is not among
/// them; a proof depends on all of them, and compares what came of it.
///
/// # Errors
/// The file is wrong.
pub fn spoken_of(config: &Config, sources: &Sources) -> Result<Option<String>> {
    let Some(text) = &sources.roles else { return Ok(None) };
    let roles = parsed(config, text)?;
    let runner = config.postgres.role.as_deref();
    let declared: BTreeSet<&str> =
        roles.roles.keys().map(String::as_str).filter(|name| is_made(name, runner)).collect();
    if declared.is_empty() {
        return Ok(None);
    }
    let (named, own) = mentions(&declared, &Values::of_proof(config, None).digest_part(), sources);
    let used: Vec<&str> = named.into_iter().filter(|name| !own.contains(*name)).collect();
    let groups = runner.map(|runner| roles.groups_of(runner)).unwrap_or_default();
    let line = |name: &str| format!("{}{}\n", identifier(name), if groups.contains(name) { " runner" } else { "" });
    Ok((!used.is_empty()).then(|| used.into_iter().map(line).collect()))
}

/// The names that stand in the files or in `values`, and those that the files make. Texts are looked at as they stand in
/// their files, so that the answer is the same before and after placeholders are filled.
fn mentions<'n>(names: &BTreeSet<&'n str>, values: &str, sources: &Sources) -> (BTreeSet<&'n str>, BTreeSet<String>) {
    let words = Words::of(names.iter().copied());
    let (mut named, mut own) = (words.find(values), BTreeSet::new());
    let files = sources.repeatable.iter().chain(&sources.init).map(|file| &file.script);
    for script in sources.migrations.iter().map(|migration| &migration.up).chain(files) {
        let text = script.source();
        let found = words.find(text);
        if !found.is_empty() && mentions_role(text) {
            own.extend(statements(text));
        }
        named.extend(found);
        for bytes in script.means.psql.iter().flat_map(|included| included.scripts.values()) {
            named.extend(words.find(&String::from_utf8_lossy(bytes)));
        }
    }
    (named, own)
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
    let none = Planned { difference: Default::default(), verifiers: BTreeMap::new(), places: BTreeMap::new() };
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
    Ok(Planned { difference: found, places: places(&roles), ..none })
}
