//! The roles file and the roles of a cluster: read, compared, and made equal, in one transaction.
//!
//! What differs is the model's to say. A password is fetched from its place here, and turned into what the server keeps
//! before anything is sent.

mod cluster;
mod declared;
mod password;
mod proof;
mod run;
mod trial;
mod turn;
mod visit;
mod words;

pub use cluster::read as read_cluster;
pub use declared::{MadeFirst, made_first, missing_locally, spoken_of, with_settings_in};
pub use password::resolve;
pub use proof::try_whole;
pub use run::run;
pub use trial::{Trial, try_out};
pub use turn::in_turn;
pub use visit::visit;

use crate::engine::project::Project;
use crate::engine::session::{self, Session, environ};
use crate::error::{Error, Location, OrFailed, Result};
use crate::model::baseline::Baseline;
use crate::model::config::Config;
use crate::model::conninfo::Secret;
use crate::model::migration;
use crate::model::roles::{Cluster, Difference, Roles, Until, Wish, difference, parse};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What is done about passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passwords<'p> {
    /// Each is fetched, and set where it is not the one that is stored; those of these roles (of all, where none is
    /// named) in any case.
    Set {
        /// The roles, where any is to be set anew.
        rotate: Option<&'p [String]>,
    },
    /// As far as they can be fetched.
    IfThere,
    /// None is looked at.
    Ignored,
}

/// What sets a cluster apart from the file, and what is needed to mend it.
#[derive(Debug)]
pub struct Planned {
    /// The statements.
    pub difference: Difference,
    /// What the server is to keep instead of each password.
    verifiers: BTreeMap<String, Secret>,
    /// Where the file declares each role.
    places: BTreeMap<String, Location>,
}

/// Where the file declares each role.
fn places(roles: &Roles) -> BTreeMap<String, Location> {
    roles.roles.iter().map(|(name, role)| (name.clone(), role.at.clone())).collect()
}

/// The text of the roles file as it lies on disk; `None` where there is none.
///
/// # Errors
/// It cannot be read, or is not UTF-8 (exit status 2).
pub fn text(project: &Project) -> Result<Option<String>> {
    let path = &project.config.paths.roles;
    let bytes = match std::fs::read(project.root.join(path)) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).or_failed(|| format!("cannot read {path}")),
    };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|e| migration::not_utf8(path, e.as_bytes(), e.utf8_error()).of_usage())
}

/// Reads the text of a roles file.
///
/// # Errors
/// All that is wrong with it.
pub fn parsed(config: &Config, text: &str) -> Result<Roles> {
    let environments: Vec<&str> = config.env.keys().map(String::as_str).collect();
    parse(text, &config.paths.roles, &environments)
}

/// The file as it lies on disk.
///
/// # Errors
/// There is none, or something is wrong with it (exit status 2).
pub fn file(project: &Project) -> Result<Roles> {
    let path = &project.config.paths.roles;
    let text = text(project)?.ok_or_else(|| {
        Error::usage(format!("there is no {path}")).help("`dbbuild roles adopt` writes it from a running server.")
    })?;
    parsed(&project.config, &text)
}

/// The roles that the committed baseline names; none where there is no sound one.
pub fn named_by_baseline(project: &Project) -> BTreeSet<String> {
    let path = &project.config.paths.baseline;
    let text = std::fs::read_to_string(project.root.join(path)).unwrap_or_default();
    let baseline = Baseline::parse(&text, path).ok();
    baseline.into_iter().flat_map(|baseline| baseline.roles.entries).map(|entry| entry.name).collect()
}

/// Compares a cluster with the file of an environment.
///
/// # Errors
/// A password cannot be fetched, or this server or role cannot do what the file says; nothing was changed.
pub async fn plan(
    project: &Project,
    roles: &Roles,
    environment: &str,
    session: &Session,
    passwords: Passwords<'_>,
) -> Result<Planned> {
    let cluster = read_cluster(session).await?;
    let mut notes = Vec::new();
    let verifiers = verifiers(project, (roles, environment), session, &cluster, passwords, &mut notes).await?;
    let named = named_by_baseline(project);
    let set = verifiers.keys().cloned().collect();
    let owner = project.config.postgres.role.as_deref();
    let wish = Wish { roles, environment, passwords: &set, named: &named, owner };
    let mut difference = difference(&wish, &cluster)?;
    difference.notes.append(&mut notes);
    Ok(Planned { difference, verifiers, places: places(roles) })
}

/// What the server is to keep of each password that is to be set.
async fn verifiers(
    project: &Project,
    (roles, environment): (&Roles, &str),
    session: &Session,
    cluster: &Cluster,
    passwords: Passwords<'_>,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<String, Secret>> {
    let mut found = BTreeMap::new();
    if passwords == Passwords::Ignored {
        return Ok(found);
    }
    let rotate = match passwords {
        Passwords::Set { rotate } => rotate,
        _ => None,
    };
    check_rotated(roles, environment, rotate)?;
    let environ = environ::read(&project.root, Some(environment))?;
    let stored = password::stored(session).await?;
    let iterations = password::iterations(session).await?;
    let mut faults = Vec::new();
    for role in roles.of(environment) {
        let Some((reference, at)) = &role.password else { continue };
        let secret = match resolve(reference, &project.root, &environ).await {
            Ok(secret) => secret,
            Err(e) if passwords == Passwords::IfThere => {
                notes.push(format!("`{}` gets no password: {}", role.name, e.message()));
                continue;
            }
            Err(e) => {
                faults.push(e.at(at.clone()).help(format!("it is the password of the role `{}`.", role.name)));
                continue;
            }
        };
        let rotated = rotate.is_some_and(|names| names.is_empty() || names.contains(&role.name));
        let set = match (&stored, cluster.roles.get(&role.name)) {
            (_, None) => true,
            _ if rotated => true,
            (Some(stored), _) => !stored.get(&role.name).is_some_and(|kept| password::fits(kept, &secret)),
            (None, Some(_)) => {
                let trial = match role.valid_until {
                    Until::At(end) if end <= Timestamp::now().as_microsecond() => {
                        Trial::Untold("its time is over (valid_until)".to_owned())
                    }
                    _ => try_out(session.settings(), &role.name, &secret).await,
                };
                if let Trial::Untold(why) = &trial {
                    notes.push(format!(
                        "whether `{}` has its password cannot be told from here: {why}; `--rotate {0}` sets it",
                        role.name
                    ));
                }
                trial == Trial::Wrong
            }
        };
        if set {
            found.insert(role.name.clone(), password::verifier(&secret, iterations)?);
        }
    }
    Error::all(faults).map_or(Ok(found), Err)
}

fn check_rotated(roles: &Roles, environment: &str, rotate: Option<&[String]>) -> Result<()> {
    for name in rotate.into_iter().flatten() {
        let role = roles.roles.get(name).filter(|role| role.is_for(environment));
        if role.is_none_or(|role| role.password.is_none()) {
            return Err(Error::usage(format!("no password of a role `{name}` is declared for {environment}"))
                .help("`--rotate` takes roles with a `password` in the roles file; without a name it takes all."));
        }
    }
    Ok(())
}

/// A session for reading roles: in the database itself, or in one of the server's own where that is not made yet.
///
/// # Errors
/// The server does not answer.
pub async fn session_of(target: &crate::engine::target::Target) -> Result<Session> {
    match target.connect().await {
        Err(e) if e.code() == Some("3D000") && !target.is_unmade() => target.maintenance().await,
        other => other,
    }
}

/// A session in another database of the same server.
async fn elsewhere(session: &Session, database: &str) -> Result<Session> {
    let settings = session.settings().with_database(database);
    session::connect(&settings, &session::ConnectOptions::default()).await
}
