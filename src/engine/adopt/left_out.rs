//! What a database has that no repository takes over, in sentences.

use super::chosen::Chosen;
use crate::engine::session::Session;
use crate::error::Result;

/// Reads what is left out. `chosen`: the tables whose rows are taken along.
///
/// # Errors
/// The server said no.
pub(super) async fn read(session: &Session, chosen: &[Chosen], large_objects: bool) -> Result<Vec<String>> {
    let mut oids: Vec<&str> = chosen.iter().map(|chosen| chosen.oid.as_str()).collect();
    oids.push("0");
    let sql = format!(
        "SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild', 'dbbuild_attic') \
                AND n.nspname !~ '^pg_(toast|temp)' AND c.oid NOT IN ({}) AND pg_catalog.pg_relation_size(c.oid) > 0), \
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata), \
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c WHERE c.reltablespace <> 0 AND c.oid >= 16384), \
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_auth_members a WHERE a.admin_option AND a.member >= 16384 \
            AND a.roleid >= 16384), \
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_user_mappings), \
         (SELECT pg_catalog.count(oid) FROM pg_catalog.pg_subscription s WHERE s.subdbid = \
            (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())), \
         (SELECT pg_catalog.count(*) FROM (SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS catalog, oid FROM pg_catalog.pg_class \
                WHERE relowner = 10 AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') UNION ALL \
                SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid FROM pg_catalog.pg_proc WHERE proowner = 10) o \
            WHERE o.oid >= 16384 AND CURRENT_USER <> (SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10) \
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = o.catalog AND e.objid = o.oid AND e.deptype = 'e')), \
         (SELECT r.rolsuper::pg_catalog.int4 FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER)",
        oids.join(", ")
    );
    let rows = session.query_rows(&sql).await?;
    let number = |at: usize| -> u64 {
        rows.first().and_then(|row| row.get(at).cloned().flatten()).and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let some = |n: u64, one: &str, many: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    let mut left = Vec::new();
    left.extend(some(number(0), "other table's rows", "other tables' rows"));
    if !large_objects {
        left.extend(some(
            number(1),
            "large object (--large-objects takes it)",
            "large objects (--large-objects takes them)",
        ));
    }
    left.extend(some(number(2), "tablespace setting of a relation", "tablespace settings of relations"));
    left.extend(some(number(3), "ADMIN OPTION of a membership", "ADMIN OPTIONs of memberships"));
    left.extend(some(number(4), "user mapping's password", "user mappings' passwords"));
    left.extend(some(
        number(6),
        "object's owner, the server's superuser: whoever loads owns it",
        "objects' owner, the server's superuser: whoever loads owns them",
    ));
    if number(7) == 0 {
        left.extend(some(
            number(5),
            "subscription, which a superuser alone can read",
            "subscriptions, which a superuser alone can read",
        ));
    }
    left.push("passwords of roles".to_owned());
    Ok(left)
}
