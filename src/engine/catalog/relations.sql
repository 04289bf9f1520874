-- when: true
SELECT 'schema', ns.id, concat_ws(E'\x1f',
    'owner=' || pg_get_userbyid(ns.nspowner),
    'privileges=' || COALESCE(ns.nspacl, acldefault('n', ns.nspowner))::text)
, 'pg_namespace'::regclass, ns.oid, 0
FROM ns
-- when: true
SELECT c.kind, c.id, concat_ws(E'\x1f',
    'persistence=' || CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
    'partitioned by=' || CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
    'bound=' || CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
    'parents=' || (SELECT string_agg(i.inhparent::regclass::text
            || CASE WHEN i.inhdetachpending THEN ' (detach pending)' ELSE '' END, ', ' ORDER BY i.inhseqno)
        FROM pg_inherits i WHERE i.inhrelid = c.oid),
    'of type=' || CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
    'access method=' || am.amname,
    'tablespace=' || ts.spcname,
    'row security=' || CASE WHEN c.relrowsecurity THEN 'enabled' END,
    'row security for the owner=' || CASE WHEN c.relforcerowsecurity THEN 'forced' END,
    'replica identity=' || CASE WHEN c.relkind IN ('r', 'p') THEN NULLIF(c.relreplident::text, 'd') END,
    'options=' || NULLIF(concat_ws(', ', array_to_string(c.reloptions, ', '),
        (SELECT string_agg('toast.' || o, ', ') FROM pg_class tc, unnest(tc.reloptions) o WHERE tc.oid = c.reltoastrelid)), ''),
    'definition=' || CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
    'populated=' || CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN 'no' END,
    'type=' || format_type(s.seqtypid, NULL),
    'start=' || s.seqstart, 'increment=' || s.seqincrement, 'minimum=' || s.seqmin, 'maximum=' || s.seqmax,
    'cache=' || s.seqcache, 'cycle=' || NULLIF(s.seqcycle, false),
    'owned by=' || CASE WHEN c.relkind = 'S' THEN (SELECT d.refobjid::regclass || '.' || quote_ident(a.attname)
        FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
            AND d.deptype IN ('a', 'i')) END,
    'server=' || fs.srvname, 'foreign options=' || (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(ft.ftoptions) o),
    'owner=' || pg_get_userbyid(c.relowner),
    'privileges=' || CASE WHEN c.relkind <> 'c'
        THEN COALESCE(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))::text END), 'pg_class'::regclass, c.oid, 0
FROM rel c
LEFT JOIN pg_am am ON am.oid = c.relam AND am.amname <> 'heap'
LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
LEFT JOIN pg_sequence s ON s.seqrelid = c.oid
LEFT JOIN pg_foreign_table ft ON ft.ftrelid = c.oid
LEFT JOIN pg_foreign_server fs ON fs.oid = ft.ftserver
-- when: true
-- The order of columns below inheritance parents is an aspect of its own name: no dump can keep it. Among the options,
-- minor releases keep books of their own (`pg_attver`), which no dump shows either.
SELECT 'column', c.id || '.' || quote_ident(a.attname), concat_ws(E'\x1f',
    CASE WHEN NOT c.relispartition AND c.relkind IN ('r', 'f') AND i.inhrelid IS NOT NULL
        THEN 'inherited position=' ELSE 'position=' END || row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum),
    'type=' || format_type(a.atttypid, a.atttypmod),
    'not null=' || NULLIF(a.attnotnull, false),
    CASE a.attgenerated WHEN '' THEN 'default=' WHEN 's' THEN 'generated=' ELSE 'generated virtual=' END
        || pg_get_expr(d.adbin, d.adrelid),
    'identity=' || CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
    'collation=' || CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
    'storage=' || CASE WHEN a.attstorage <> t.typstorage AND c.relkind IN ('r', 'p', 'm', 'f') THEN a.attstorage::text END,
    'compression=' || NULLIF(a.attcompression::text, ''),
    'statistics=' || NULLIF(a.attstattarget, -1),
    'options=' || (SELECT string_agg(o, ', ') FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg\_%'),
    'foreign options=' || (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(a.attfdwoptions) o),
    'privileges=' || a.attacl::text), 'pg_class'::regclass, c.oid, a.attnum
FROM rel c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN (SELECT DISTINCT inhrelid FROM pg_inherits) i ON i.inhrelid = c.oid
WHERE c.relkind <> 'S'
-- when: true
SELECT CASE k.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END,
    COALESCE(c.id, t.id) || '.' || quote_ident(k.conname), concat_ws(E'\x1f',
    'definition=' || pg_get_constraintdef(k.oid),
    'system triggers disabled=' || silenced.tables), 'pg_constraint'::regclass, k.oid, 0
FROM pg_constraint k
LEFT JOIN rel c ON c.oid = k.conrelid
LEFT JOIN typ t ON t.oid = k.contypid
LEFT JOIN silenced ON silenced.tgconstraint = k.oid
WHERE (c.oid IS NOT NULL OR t.oid IS NOT NULL) AND k.contype <> 't'
-- when: true
SELECT 'index', ns.id || '.' || quote_ident(x.relname), concat_ws(E'\x1f',
    'definition=' || pg_get_indexdef(i.indexrelid),
    'state=' || CASE WHEN NOT i.indisvalid THEN 'invalid' WHEN NOT i.indisready THEN 'not ready' END,
    'partition of=' || (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = i.indexrelid),
    'replica identity=' || NULLIF(i.indisreplident, false),
    'clustered=' || NULLIF(i.indisclustered, false),
    'tablespace=' || ts.spcname,
    'statistics=' || (SELECT string_agg(a.attnum || ':' || a.attstattarget, ', ' ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0)), 'pg_class'::regclass, x.oid, 0
FROM rel c
JOIN pg_index i ON i.indrelid = c.oid
JOIN pg_class x ON x.oid = i.indexrelid
JOIN ns ON ns.oid = x.relnamespace
LEFT JOIN pg_tablespace ts ON ts.oid = x.reltablespace
-- when: EXISTS (SELECT FROM pg_trigger WHERE NOT tgisinternal)
SELECT 'trigger', c.id || '.' || quote_ident(t.tgname), concat_ws(E'\x1f',
    'definition=' || pg_get_triggerdef(t.oid),
    'enabled=' || CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END), 'pg_trigger'::regclass, t.oid, 0
FROM pg_trigger t
JOIN rel c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal
-- when: EXISTS (SELECT FROM pg_rewrite WHERE oid >= 16384 AND rulename <> '_RETURN')
SELECT 'rule', c.id || '.' || quote_ident(r.rulename), concat_ws(E'\x1f',
    'definition=' || pg_get_ruledef(r.oid),
    'enabled=' || CASE r.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END), 'pg_rewrite'::regclass, r.oid, 0
FROM pg_rewrite r
JOIN rel c ON c.oid = r.ev_class
WHERE r.rulename <> '_RETURN'
-- when: EXISTS (SELECT FROM pg_policy)
SELECT 'policy', c.id || '.' || quote_ident(p.polname), concat_ws(E'\x1f',
    'command=' || p.polcmd::text, 'restrictive=' || NULLIF(NOT p.polpermissive, false),
    'roles=' || (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END, E'\x1e')
        FROM unnest(p.polroles) r),
    'using=' || pg_get_expr(p.polqual, p.polrelid), 'check=' || pg_get_expr(p.polwithcheck, p.polrelid)), 'pg_policy'::regclass, p.oid, 0
FROM pg_policy p
JOIN rel c ON c.oid = p.polrelid
-- when: EXISTS (SELECT FROM pg_statistic_ext)
SELECT 'statistics', ns.id || '.' || quote_ident(s.stxname), concat_ws(E'\x1f',
    'definition=' || pg_get_statisticsobjdef(s.oid), 'target=' || NULLIF(s.stxstattarget, -1),
    'owner=' || pg_get_userbyid(s.stxowner)), 'pg_statistic_ext'::regclass, s.oid, 0
FROM pg_statistic_ext s
JOIN ns ON ns.oid = s.stxnamespace
