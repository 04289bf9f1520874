//! Reading a database under one snapshot: schema, chosen rows, roles, catalog.

use super::{chosen, left_out, roles};
use crate::engine::catalog;
use crate::engine::dump::{self, DumpOptions, DumpProgram, DumpSource};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::attic;
use crate::model::baseline::{Dump, NormaliseOptions, RoleNeed, normalise};
use crate::model::catalog::Catalog;
use crate::model::config::Config;
use crate::model::roles::Role;
use crate::model::sql::literal;
use std::collections::BTreeSet;
use std::path::Path;

/// What is to be taken along.
pub struct Wish<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The tables whose rows are taken.
    pub data: &'a [String],
    /// Whether large objects are.
    pub large_objects: bool,
}

/// A database as it was read.
pub struct Captured {
    /// Schema and chosen rows, normalised, in the order in which they load.
    pub dump: Dump,
    /// The chosen rows alone.
    pub rows: Dump,
    /// The roles that the dump mentions.
    pub needed: Vec<RoleNeed>,
    /// The roles for `db/roles.toml`.
    pub roles: Vec<Role>,
    /// The catalog, to see later whether it is still the same.
    pub as_found: Catalog,
    /// The catalog without what is left out, to compare with.
    pub catalog: Catalog,
    /// Whose objects carry no owner: who runs migrations, and the server's first superuser.
    pub own_roles: Vec<String>,
    /// What is left out, in words.
    pub left_out: Vec<String>,
    /// What `pg_dump` wrote of the schema, as it wrote it.
    pub(super) raw: Vec<u8>,
    pub(super) bin: DumpProgram,
}

/// Reads it.
///
/// # Errors
/// A chosen table is not there, or this role may not read something; nothing was changed.
pub async fn capture(session: &Session, wish: &Wish<'_>) -> Result<Captured> {
    session.simple("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let captured = read(session, wish).await;
    session.simple("ROLLBACK").await?;
    captured
}

async fn read(session: &Session, wish: &Wish<'_>) -> Result<Captured> {
    let chosen = chosen::find(session, wish.data).await?;
    let snapshot = one(session, "SELECT pg_catalog.pg_export_snapshot()").await?;
    let own_roles = own_roles(session, wish.config).await?;
    let bin_dir = wish.config.postgres.bin_dir.as_deref().map(Path::new);
    let major = session.server_version();
    let program = DumpProgram::for_server(bin_dir, major, Some(major), false)?;
    let source = DumpSource {
        env: session.settings().libpq_env(),
        database: session.settings().database().to_owned(),
        program: program.clone(),
    };
    let common = |more: &[&str]| -> Vec<String> {
        let fixed = ["--encoding=UTF8".to_owned(), format!("--snapshot={snapshot}")];
        fixed.into_iter().chain(more.iter().map(|text| (*text).to_owned())).collect()
    };
    let schema = DumpOptions {
        schema_only: true,
        exclude_schemas: vec!["dbbuild".to_owned(), attic::SCHEMA.to_owned()],
        exclude_tables: wish.config.baseline.exclude.clone(),
        extra: common(&["--create", "--no-tablespaces"]),
        ..DumpOptions::default()
    };
    let raw = dump::pg_dump(&source, &schema).await?;
    let normal = NormaliseOptions {
        own_roles: own_roles.clone(),
        database: Some(source.database.clone()),
        extension_comments: catalog::own_extension_comments(session.client()).await?,
    };
    let mut dump = normalise(&raw, &normal)?;
    let mut rows = Dump::default();
    if !chosen.is_empty() || wish.large_objects {
        let mut more = vec![];
        more.extend(wish.large_objects.then_some("--blobs"));
        more.extend(chosen.is_empty().then_some("--exclude-table-data=*.*"));
        let options = DumpOptions {
            data_only: true,
            tables: chosen.iter().map(|table| table.pattern.clone()).collect(),
            load_via_partition_root: true,
            extra: common(&more),
            ..DumpOptions::default()
        };
        rows = normalise(&dump::pg_dump(&source, &options).await?, &normal)?;
        dump = dump.with_rows(rows.clone());
    }
    dump = dump.with_refreshed(&populated(session).await?);
    let needed = catalog::mentioned_roles(session.client(), &own_roles).await?;
    let mentioned: Vec<String> = needed.iter().map(|role| role.name.clone()).collect();
    let as_found = catalog::read_exactly(session.client(), &own_roles).await?;
    Ok(Captured {
        dump,
        rows,
        roles: roles::read(session, &mentioned).await?,
        needed,
        catalog: comparable(session, wish.config, as_found.clone()).await?,
        as_found,
        left_out: left_out::read(session, &chosen, wish.large_objects).await?,
        own_roles,
        raw,
        bin: program,
    })
}

/// Without what is left out on purpose.
async fn comparable(session: &Session, config: &Config, mut catalog: Catalog) -> Result<Catalog> {
    catalog.forget_aspect("tablespace");
    catalog.forget_tables(&config.baseline.exclude);
    if one(session, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER").await? != "t" {
        catalog.forget_kind("subscription");
    }
    Ok(catalog)
}

/// Who runs migrations here, and the server's first superuser, whom no baseline names.
async fn own_roles(session: &Session, config: &Config) -> Result<Vec<String>> {
    let configured = literal(config.postgres.role.as_deref().unwrap_or_default());
    let sql = format!(
        "SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10 OR rolname IN (CURRENT_USER, SESSION_USER, {configured})"
    );
    let rows = session.query_rows(&sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

async fn populated(session: &Session) -> Result<BTreeSet<(String, String)>> {
    let sql = "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND c.relispopulated";
    let cell = |row: &Vec<Option<String>>, at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    Ok(session.query_rows(sql).await?.iter().map(|row| (cell(row, 0), cell(row, 1))).collect())
}

async fn one(session: &Session, sql: &str) -> Result<String> {
    let rows = session.query_rows(sql).await?;
    rows.into_iter()
        .next()
        .and_then(|row| row.into_iter().next().flatten())
        .ok_or_else(|| Error::failed("the server gave no answer"))
}
