SELECT 'dbbuild look', c.oid, c.relkind, p.inhparent, n.nspname = 'dbbuild_attic', c.relfilenode,
    pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid), pg_catalog.pg_stat_get_xact_tuples_updated(c.oid),
    pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid), a.columns,
    CASE WHEN c.relkind = 'S' AND pg_catalog.has_sequence_privilege(c.oid, 'USAGE, SELECT')
        THEN pg_catalog.pg_sequence_last_value(c.oid) END,
    CASE c.relkind WHEN 'S' THEN (SELECT s.seqincrement > 0 FROM pg_catalog.pg_sequence s WHERE s.seqrelid = c.oid)
        WHEN 'f' THEN EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = pg_catalog.pg_backend_pid()
            AND l.locktype = 'relation' AND l.relation = c.oid AND l.mode = 'RowExclusiveLock' AND l.granted) END,
    pg_catalog.pg_stat_get_xact_tuples_updated(2613) + pg_catalog.pg_stat_get_xact_tuples_deleted(2613)
        + pg_catalog.pg_stat_get_xact_tuples_deleted(2995)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_inherits p ON c.relispartition AND p.inhrelid = c.oid
LEFT JOIN (
    SELECT x.attrelid, pg_catalog.string_agg(pg_catalog.concat_ws(' ', x.attnum, x.atttypid, x.atttypmod, x.attcollation,
        CASE WHEN x.attgenerated <> '' THEN 'generated' END), ',') AS columns
    FROM pg_catalog.pg_attribute x
    WHERE x.attrelid >= 16384 AND x.attnum > 0 AND NOT x.attisdropped
    GROUP BY x.attrelid
) a ON a.attrelid = c.oid AND c.relkind <> 'S'
WHERE c.relkind IN ('r', 'p', 'f', 'S', 'c') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild') AND n.nspname !~ '^pg_(toast|temp)'
