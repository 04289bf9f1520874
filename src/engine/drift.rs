//! Drift: what a database has that its sources do not make, found by its catalogs without a throwaway.

use crate::engine::cache::Kind;
use crate::engine::catalog;
use crate::engine::project::Project;
use crate::engine::prove;
use crate::engine::roles;
use crate::engine::session::Session;
use crate::engine::target::Target;
use crate::error::{Error, Result};
use crate::model::catalog::{Catalog, CatalogDifference, drift};
use crate::model::checksum::Checksum;
use crate::model::sources::Sources;

/// Differences that are named one by one.
const SHOWN: usize = 20;

/// Compares a database with what its sources make, as the last proof saw it.
///
/// While the catalogs' row versions are those of the last look that found nothing, nothing is read.
///
/// # Errors
/// The server said no.
pub async fn find(
    project: &Project,
    sources: &Sources,
    target: &Target,
    session: &Session,
) -> Result<Vec<CatalogDifference>> {
    let inputs = prove::inputs(&project.config, sources);
    let stamp = format!("{}\n{}", target.describe(), catalog::stamp(session.client()).await?);
    let judged = roles::with_settings_in(&project.config, sources.roles.as_deref(), target.settings.database())?;
    let key = Checksum::of_text(&format!("{inputs}\n{stamp}\n{judged:?}"));
    if project.cache.get(Kind::Clean, &key).is_some() {
        return Ok(Vec::new());
    }
    let Some(mut accepted) = prove::remembered(&project.cache, &inputs) else { return Ok(Vec::new()) };
    let exclude = &project.config.baseline.exclude;
    let own_roles = own_roles(session, &accepted).await?;
    let mut found = catalog::read_exactly(session.client(), &own_roles).await?;
    for catalog in accepted.iter_mut().chain([&mut found]) {
        catalog.forget_tables(exclude);
        catalog.forget_settings_of(&judged, &own_roles);
    }
    let accepted: Vec<&Catalog> = accepted.iter().collect();
    let differences: Vec<_> =
        drift(&found, &accepted).into_iter().filter(|difference| !difference.is_inherited_column_order()).collect();
    if differences.is_empty() {
        project.cache.put(Kind::Clean, &key, "no drift");
    }
    Ok(differences)
}

/// Who runs migrations here, and who owns the database: their objects carry no owner in the baseline. An adopted one may
/// name the database's owner all the same.
async fn own_roles(session: &Session, accepted: &[Catalog]) -> Result<Vec<String>> {
    let sql = "SELECT CURRENT_USER UNION SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database \
               WHERE datname = pg_catalog.current_database()";
    let rows = session.query_rows(sql).await?;
    let roles = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
    Ok(roles.filter(|role| !accepted.iter().any(|catalog| catalog.has_owner(role))).collect())
}

/// The error (status 3) that names what drifted.
pub fn error(database: &str, baseline: &str, found: &[CatalogDifference]) -> Error {
    let mut lines: Vec<String> = found.iter().take(SHOWN).map(ToString::to_string).collect();
    if found.len() > SHOWN {
        lines.push(format!("and {} more", found.len() - SHOWN));
    }
    let differ =
        if found.len() == 1 { "1 object differs".to_owned() } else { format!("{} objects differ", found.len()) };
    Error::difference(format!("{database} drifted from {baseline}: {differ}")).detail(lines.join("\n")).help(
        "write a migration for what shall stay; `dbbuild reset` builds a local database anew. Nothing was changed.",
    )
}
