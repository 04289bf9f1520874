//! Reads the roles of a cluster from views and catalogs that everybody may read: `pg_authid` is not among them.

use crate::engine::session::Session;
use crate::error::{Error, OrFailed, Result};
use crate::model::roles::{Attribute, Attributes, Cluster, Found, Granted, May, Me, Setting, Until};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything in one answer, so that it is of one moment.
const SQL: &str = "SELECT pg_catalog.json_build_object(\
    'database', pg_catalog.current_database(), 'me', CURRENT_USER, 'session', SESSION_USER, \
    'databases', (SELECT pg_catalog.json_object_agg(d.datname, pg_catalog.pg_get_userbyid(d.datdba)) \
        FROM pg_catalog.pg_database d), \
    'roles', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
        'name', r.rolname, 'system', r.oid < 16384, \
        'on', pg_catalog.json_build_array(r.rolcanlogin, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolinherit, \
            r.rolreplication, r.rolbypassrls), \
        'limit', r.rolconnlimit, \
        'until', CASE WHEN r.rolvaliduntil = '-infinity' THEN -9223372036854775808 \
            WHEN pg_catalog.isfinite(r.rolvaliduntil) THEN (EXTRACT(epoch FROM r.rolvaliduntil) * 1000000)::bigint END, \
        'comment', pg_catalog.shobj_description(r.oid, 'pg_authid'), \
        'admin', pg_catalog.pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'), \
        'member', pg_catalog.pg_has_role(r.oid, 'USAGE'), \
        'settings', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('database', d.datname, 'lines', s.setconfig)) \
            FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase \
            WHERE s.setrole = r.oid), \
        'holds_in', (SELECT pg_catalog.json_agg(DISTINCT d.datname) FROM pg_catalog.pg_shdepend s \
            LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
            WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = r.oid))) \
        FROM pg_catalog.pg_roles r), \
    'memberships', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
        'group', g.rolname, 'member', m.rolname, 'grantor', b.rolname, 'admin', a.admin_option, \
        'inherit', {inherit}, 'set', {set}, 'implicit', {implicit}) ORDER BY g.rolname, m.rolname, b.rolname) \
        FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid = a.roleid \
        JOIN pg_catalog.pg_roles m ON m.oid = a.member LEFT JOIN pg_catalog.pg_roles b ON b.oid = a.grantor), \
    'settings', (SELECT pg_catalog.json_object_agg(pg_catalog.lower(s.name), CASE s.context WHEN 'user' THEN true \
        WHEN 'superuser' THEN pg_catalog.has_parameter_privilege(s.name, 'SET') END) FROM \
        (SELECT name, context FROM pg_catalog.pg_settings \
        UNION SELECT n, 'superuser' FROM pg_catalog.unnest({hidden}) n \
        UNION SELECT parname, 'superuser' FROM pg_catalog.pg_parameter_acl a \
        WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_settings s WHERE pg_catalog.lower(s.name) = a.parname)) s))";

/// Superusers' settings that not everybody sees.
const HIDDEN: &str = "ARRAY['dynamic_library_path', 'extension_control_path', 'session_preload_libraries']";

#[derive(Deserialize)]
struct Answer {
    database: String,
    me: String,
    session: String,
    databases: BTreeMap<String, String>,
    roles: Vec<Row>,
    memberships: Option<Vec<Membership>>,
    settings: BTreeMap<String, Option<bool>>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    system: bool,
    on: [bool; 7],
    limit: i64,
    until: Option<i64>,
    comment: Option<String>,
    admin: bool,
    member: bool,
    settings: Option<Vec<Settings>>,
    holds_in: Option<BTreeSet<Option<String>>>,
}

#[derive(Deserialize)]
struct Settings {
    database: Option<String>,
    lines: Vec<String>,
}

#[derive(Deserialize)]
struct Membership {
    group: String,
    member: String,
    grantor: Option<String>,
    admin: bool,
    inherit: bool,
    set: bool,
    implicit: bool,
}

/// Reads them.
///
/// # Errors
/// The server said no.
pub async fn read(session: &Session) -> Result<Cluster> {
    let major = session.server_version();
    let (inherit, set, implicit) = if major >= 16 {
        // The bootstrap superuser grants a new role to whoever made it, for administration alone.
        (
            "a.inherit_option",
            "a.set_option",
            "a.grantor = 10 AND a.admin_option AND NOT a.inherit_option AND NOT a.set_option",
        )
    } else {
        ("true", "true", "false")
    };
    let sql = SQL.replace("{inherit}", inherit).replace("{set}", set);
    let sql = sql.replace("{implicit}", implicit).replace("{hidden}", HIDDEN);
    let rows = session.query_rows(&sql).await?;
    let text = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    let text = text.ok_or_else(|| Error::failed("the server told nothing of its roles"))?;
    let answer: Answer = serde_json::from_str(&text).or_failed(|| "cannot read the roles of the server")?;
    Ok(cluster(answer, major))
}

fn cluster(answer: Answer, major: u32) -> Cluster {
    let names = |wanted: fn(&Row) -> bool| -> BTreeSet<String> {
        answer.roles.iter().filter(|row| wanted(row)).map(|row| row.name.clone()).collect()
    };
    let mine = answer.roles.iter().find(|row| row.name == answer.me).map(attributes).unwrap_or_default();
    let me = Me {
        name: answer.me,
        session: answer.session,
        attributes: mine,
        admin_of: names(|row| row.admin),
        member_of: names(|row| row.member),
        settings: answer.settings.into_iter().map(|(name, may)| (name, may_set(may))).collect(),
    };
    let memberships = answer.memberships.unwrap_or_default().into_iter().map(|row| Granted {
        group: row.group,
        member: row.member,
        grantor: row.grantor,
        admin: row.admin,
        inherit: row.inherit,
        set: row.set,
        implicit: row.implicit,
    });
    Cluster {
        major,
        database: answer.database,
        databases: answer.databases,
        me,
        memberships: memberships.collect(),
        roles: answer.roles.into_iter().map(|row| (row.name.clone(), found(row))).collect(),
    }
}

fn may_set(answer: Option<bool>) -> May {
    answer.map_or(May::Never, |may| if may { May::Set } else { May::Restricted })
}

fn attributes(row: &Row) -> Attributes {
    Attribute::ALL.into_iter().zip(row.on).filter(|(_, on)| *on).map(|(attribute, _)| attribute).collect()
}

fn found(row: Row) -> Found {
    let attributes = attributes(&row);
    let mut found = Found {
        system: row.system,
        attributes,
        connection_limit: row.limit,
        valid_until: row.until.map_or(Until::Forever, Until::At),
        comment: row.comment,
        holds_in: row.holds_in.unwrap_or_default(),
        ..Found::default()
    };
    for settings in row.settings.unwrap_or_default() {
        let values = settings.lines.iter().filter_map(|line| line.split_once('=')).map(|(name, value)| {
            let setting = Setting::of_text(name, value).unwrap_or_else(|| Setting::Text(value.to_owned()));
            (name.to_ascii_lowercase(), setting)
        });
        match settings.database {
            Some(database) => drop(found.settings_in.insert(database, values.collect())),
            None => found.settings = values.collect(),
        }
    }
    found
}
