-- What is the user's: no system schema, no temporary one, neither of dbbuild's own, no member of an extension.
ns AS MATERIALIZED (
    SELECT n.oid, n.nspname, quote_ident(n.nspname) AS id, n.nspowner, n.nspacl
    FROM pg_namespace n
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbbuild', 'dbbuild_attic')
        AND n.nspname !~ '^pg_(toast_)?temp_'
),
member AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend d WHERE d.deptype = 'e'
),
rel AS MATERIALIZED (
    SELECT c.*, ns.id || '.' || quote_ident(c.relname) AS id,
        CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
            WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'composite type' END AS kind
    FROM pg_class c
    JOIN ns ON ns.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
        AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
),
typ AS MATERIALIZED (
    SELECT t.*, ns.id || '.' || quote_ident(t.typname) AS id
    FROM pg_type t
    JOIN ns ON ns.oid = t.typnamespace
    WHERE t.typtype IN ('e', 'd', 'r', 'b', 'p')
        AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid)
        AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
),
-- Triggers that PostgreSQL makes for constraints, where they do not fire as they should.
silenced AS MATERIALIZED (
    SELECT t.tgconstraint, string_agg(DISTINCT t.tgrelid::regclass::text || ' ' || t.tgenabled::text, ', '
        ORDER BY t.tgrelid::regclass::text || ' ' || t.tgenabled::text) AS tables
    FROM pg_trigger t
    WHERE t.tgisinternal AND t.tgenabled <> 'O'
    GROUP BY t.tgconstraint
)
