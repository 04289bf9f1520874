SELECT pg_catalog.json_build_object('oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind::text, 'file', c.relfilenode::bigint,
    'forced', c.relrowsecurity AND c.relforcerowsecurity AND pg_catalog.row_security_active(c.oid),
    'columns', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('number', a.attnum, 'name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'text', a.atttypid >= 16384 OR t.typname ~ '^_?reg',
            'collated', a.attcollation >= 16384,
            'bound', EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contype IN ('p', 'u', 'f', 'x')
                    AND (k.conrelid = c.oid AND a.attnum = ANY (k.conkey) OR k.confrelid = c.oid AND a.attnum = ANY (k.confkey)))
                OR EXISTS (SELECT FROM pg_catalog.pg_index u WHERE u.indrelid = c.oid AND u.indisunique AND a.attnum = ANY (u.indkey)),
            'default', a.atthasdef OR a.attidentity <> '', 'not_null', a.attnotnull, 'generated', a.attgenerated <> '')
            ORDER BY a.attnum), '[]')
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'keys', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.string_to_array(i.indkey::text, ' ')::int[]
            ORDER BY i.indisprimary DESC, i.indnatts, i.indexrelid), '[]')
        FROM pg_catalog.pg_index i
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
            AND i.indexprs IS NULL AND i.indnatts = i.indnkeyatts
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey) AND (NOT a.attnotnull OR a.attgenerated <> ''))),
    'parts', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(d.oid::bigint, dn.nspname, d.relname) ORDER BY d.oid), '[]')
        FROM (WITH RECURSIVE below (oid) AS (SELECT c.oid UNION SELECT h.inhrelid FROM below b
                JOIN pg_catalog.pg_inherits h ON h.inhparent = b.oid) SELECT b.oid FROM below b) b
        JOIN pg_catalog.pg_class d ON d.oid = b.oid AND d.relkind = 'r'
        JOIN pg_catalog.pg_namespace dn ON dn.oid = d.relnamespace),
    'root', (WITH RECURSIVE up (oid, n) AS (SELECT c.oid, 0 UNION ALL SELECT h.inhparent, u.n + 1 FROM up u
            JOIN pg_catalog.pg_class p ON p.oid = u.oid AND p.relispartition JOIN pg_catalog.pg_inherits h ON h.inhrelid = u.oid)
        SELECT u.oid::bigint FROM up u ORDER BY u.n DESC LIMIT 1),
    'triggers', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(g.tgname, g.tgenabled::text) ORDER BY g.tgname), '[]')
        FROM pg_catalog.pg_trigger g
        WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'),
    'rules', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(w.rulename, w.ev_enabled::text) ORDER BY w.rulename), '[]')
        FROM pg_catalog.pg_rewrite w
        WHERE w.ev_class = c.oid AND w.ev_type <> '1' AND w.ev_enabled <> 'D'),
    'sequence', (SELECT pg_catalog.json_build_array(d.refobjid::bigint, o.nspname, r.relname, x.attname)
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class r ON r.oid = d.refobjid
        JOIN pg_catalog.pg_namespace o ON o.oid = r.relnamespace
        JOIN pg_catalog.pg_attribute x ON x.attrelid = r.oid AND x.attnum = d.refobjsubid
        WHERE c.relkind = 'S' AND d.classid = 1259 AND d.objid = c.oid AND d.refclassid = 1259 AND d.deptype IN ('a', 'i') LIMIT 1),
    'start', (SELECT s.seqstart FROM pg_catalog.pg_sequence s WHERE s.seqrelid = c.oid),
    'step', (SELECT s.seqincrement FROM pg_catalog.pg_sequence s WHERE s.seqrelid = c.oid AND pg_catalog.pg_has_role(c.relowner, 'USAGE'))
)::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN
