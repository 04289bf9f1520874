//! The whole file, tried on a server that is thrown away: everything is made, and after that nothing is left to do.

use super::{Planned, places, read_cluster, run};
use crate::engine::prove::ThrowawayPlan;
use crate::engine::server::Throwaway;
use crate::engine::session::{self, ConnectOptions, Session};
use crate::error::{Error, Result};
use crate::model::config::Config;
use crate::model::roles::{Difference, Roles, Wish, difference};
use crate::model::sql::identifier;
use std::collections::{BTreeMap, BTreeSet};

/// Applies a file twice, for all environments at once, without login and passwords; gives the number of statements.
///
/// # Errors
/// There is no server, it refuses a statement, or the second time finds something to do.
pub async fn try_whole(config: &Config, roles: &Roles) -> Result<usize> {
    let plan = ThrowawayPlan::from_config(config)?;
    let server = Throwaway::start(plan.options()).await?;
    let settings = server.address().settings(&plan.options().database);
    let outcome = async {
        let session = session::connect(&settings, &ConnectOptions::default()).await?;
        twice(&session, &roles.without_login(), config).await
    }
    .await;
    server.remove().await;
    outcome
}

async fn twice(session: &Session, roles: &Roles, config: &Config) -> Result<usize> {
    // What only some servers bring stands here as an empty role.
    let cluster = read_cluster(session).await?;
    let groups = roles.roles.values().flat_map(|role| &role.member_of).map(|one| &one.role);
    let missing: BTreeSet<&String> =
        groups.filter(|name| !roles.roles.contains_key(*name) && !cluster.roles.contains_key(*name)).collect();
    for name in missing {
        session.simple(&format!("CREATE ROLE {}", identifier(name))).await?;
    }
    let found = compare(session, roles).await?;
    let statements = found.changes.len();
    let planned = Planned { difference: found, verifiers: BTreeMap::new(), places: places(roles) };
    run(&planned, session, config.lock.timeout).await?;
    let again = compare(session, roles).await?.changes;
    if again.is_empty() {
        return Ok(statements);
    }
    let left: Vec<&str> = again.iter().map(|change| change.sql.as_str()).collect();
    Err(Error::failed("the roles file is never fulfilled: applied a second time, it changes something again")
        .detail(left.join("\n")))
}

async fn compare(session: &Session, roles: &Roles) -> Result<Difference> {
    let none = BTreeSet::new();
    let cluster = read_cluster(session).await?;
    difference(&Wish { roles, environment: "", passwords: &none, named: &none, owner: None }, &cluster)
}
