-- when: true
SELECT 'extension', quote_ident(e.extname), concat_ws(E'\x1f', 'schema=' || n.nspname), 'pg_extension'::regclass, e.oid, 0
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
-- when: EXISTS (SELECT FROM pg_event_trigger)
SELECT 'event trigger', quote_ident(t.evtname), concat_ws(E'\x1f', 'event=' || t.evtevent, 'function=' || t.evtfoid::regproc,
    'tags=' || (SELECT string_agg(g, ', ' ORDER BY g) FROM unnest(t.evttags) g),
    'enabled=' || CASE t.evtenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END,
    'owner=' || pg_get_userbyid(t.evtowner)), 'pg_event_trigger'::regclass, t.oid, 0
FROM pg_event_trigger t
-- when: EXISTS (SELECT FROM pg_collation WHERE oid >= 16384)
-- The version of a collation is the machine's.
SELECT 'collation', ns.id || '.' || quote_ident(c.collname), concat_ws(E'\x1f',
    'definition=' || (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[])::text,
    'owner=' || pg_get_userbyid(c.collowner)), 'pg_collation'::regclass, c.oid, 0
FROM pg_collation c
JOIN ns ON ns.oid = c.collnamespace
-- when: EXISTS (SELECT FROM pg_conversion WHERE oid >= 16384)
SELECT 'conversion', ns.id || '.' || quote_ident(c.conname), concat_ws(E'\x1f',
    'encodings=' || pg_encoding_to_char(c.conforencoding) || ' to ' || pg_encoding_to_char(c.contoencoding),
    'function=' || c.conproc::regproc, 'default=' || NULLIF(c.condefault, false),
    'owner=' || pg_get_userbyid(c.conowner)), 'pg_conversion'::regclass, c.oid, 0
FROM pg_conversion c
JOIN ns ON ns.oid = c.connamespace
-- when: EXISTS (SELECT FROM pg_ts_dict WHERE oid >= 16384)
SELECT 'text search dictionary', ns.id || '.' || quote_ident(d.dictname), concat_ws(E'\x1f',
    'template=' || t.tmplname, 'options=' || d.dictinitoption, 'owner=' || pg_get_userbyid(d.dictowner)), 'pg_ts_dict'::regclass, d.oid, 0
FROM pg_ts_dict d
JOIN ns ON ns.oid = d.dictnamespace
JOIN pg_ts_template t ON t.oid = d.dicttemplate
-- when: EXISTS (SELECT FROM pg_ts_config WHERE oid >= 16384)
SELECT 'text search configuration', ns.id || '.' || quote_ident(c.cfgname), concat_ws(E'\x1f', 'parser=' || p.prsname,
    'mappings=' || (SELECT string_agg(concat_ws(' ', m.maptokentype, m.mapseqno, m.mapdict::regdictionary), ', '
        ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = c.oid),
    'owner=' || pg_get_userbyid(c.cfgowner)), 'pg_ts_config'::regclass, c.oid, 0
FROM pg_ts_config c
JOIN ns ON ns.oid = c.cfgnamespace
JOIN pg_ts_parser p ON p.oid = c.cfgparser
-- when: EXISTS (SELECT FROM pg_ts_parser WHERE oid >= 16384)
SELECT 'text search parser', ns.id || '.' || quote_ident(p.prsname), concat_ws(E'\x1f',
    'functions=' || concat_ws(' ', p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype)), 'pg_ts_parser'::regclass, p.oid, 0
FROM pg_ts_parser p JOIN ns ON ns.oid = p.prsnamespace
-- when: EXISTS (SELECT FROM pg_ts_template WHERE oid >= 16384)
SELECT 'text search template', ns.id || '.' || quote_ident(t.tmplname),
    concat_ws(E'\x1f', 'functions=' || concat_ws(' ', t.tmplinit, t.tmpllexize)), 'pg_ts_template'::regclass, t.oid, 0
FROM pg_ts_template t JOIN ns ON ns.oid = t.tmplnamespace
-- when: EXISTS (SELECT FROM pg_am WHERE oid >= 16384)
SELECT 'access method', quote_ident(a.amname), concat_ws(E'\x1f', 'type=' || a.amtype::text, 'handler=' || a.amhandler), 'pg_am'::regclass, a.oid, 0
FROM pg_am a
WHERE a.oid >= 16384
-- when: EXISTS (SELECT FROM pg_foreign_data_wrapper)
SELECT 'foreign data wrapper', quote_ident(w.fdwname), concat_ws(E'\x1f',
    'handler=' || NULLIF(w.fdwhandler, 0)::regproc, 'validator=' || NULLIF(w.fdwvalidator, 0)::regproc,
    'options=' || (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(w.fdwoptions) o), 'owner=' || pg_get_userbyid(w.fdwowner),
    'privileges=' || COALESCE(w.fdwacl, acldefault('F', w.fdwowner))::text), 'pg_foreign_data_wrapper'::regclass, w.oid, 0
FROM pg_foreign_data_wrapper w
-- when: EXISTS (SELECT FROM pg_foreign_server)
SELECT 'server', quote_ident(s.srvname), concat_ws(E'\x1f', 'wrapper=' || w.fdwname, 'type=' || s.srvtype,
    'version=' || s.srvversion, 'options=' || (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(s.srvoptions) o WHERE o !~* '^[^=]*passw(or)?d='),
    'owner=' || pg_get_userbyid(s.srvowner),
    'privileges=' || COALESCE(s.srvacl, acldefault('S', s.srvowner))::text), 'pg_foreign_server'::regclass, s.oid, 0
FROM pg_foreign_server s
JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
-- when: EXISTS (SELECT FROM pg_user_mappings)
-- Its options are shown to few roles, and hold passwords.
SELECT 'user mapping', quote_ident(u.srvname), concat_ws(E'\x1f', 'roles=' || string_agg(u.usename, E'\x1e' ORDER BY u.usename)), 'pg_class'::regclass, NULL::oid, 0
FROM pg_user_mappings u
GROUP BY u.srvname
-- when: EXISTS (SELECT FROM pg_publication)
SELECT 'publication', quote_ident(p.pubname), concat_ws(E'\x1f',
    'definition=' || (to_jsonb(p) - '{oid,pubname,pubowner}'::text[])::text,
    'tables=' || (SELECT string_agg(concat_ws(' ', r.prrelid::regclass, pg_get_expr(r.prqual, r.prrelid),
        (SELECT string_agg(a.attname, ',' ORDER BY a.attname) FROM pg_attribute a
            WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs))), ', ' ORDER BY r.prrelid::regclass::text)
        FROM pg_publication_rel r WHERE r.prpubid = p.oid),
    'schemas=' || (SELECT string_agg(s.pnnspid::regnamespace::text, ', ' ORDER BY s.pnnspid::regnamespace::text)
        FROM pg_publication_namespace s WHERE s.pnpubid = p.oid),
    'owner=' || pg_get_userbyid(p.pubowner)), 'pg_publication'::regclass, p.oid, 0
FROM pg_publication p
-- when: EXISTS (SELECT oid FROM pg_subscription)
SELECT 'subscription', quote_ident(s.subname), concat_ws(E'\x1f', 'enabled=' || s.subenabled, 'slot=' || s.subslotname,
    'publications=' || array_to_string(s.subpublications, ', '), 'owner=' || pg_get_userbyid(s.subowner)), 'pg_subscription'::regclass, s.oid, 0
FROM pg_subscription s
WHERE s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
-- when: EXISTS (SELECT FROM pg_default_acl)
SELECT 'default privileges', concat_ws(' ', CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
        WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE d.defaclobjtype::text END,
        'in ' || NULLIF(d.defaclnamespace, 0)::regnamespace), concat_ws(E'\x1f', 'owner=' || pg_get_userbyid(d.defaclrole),
    'privileges=' || d.defaclacl::text), 'pg_class'::regclass, NULL::oid, 0
FROM pg_default_acl d
-- when: EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase <> 0)
SELECT 'settings', CASE s.setrole WHEN 0 THEN 'this database' ELSE 'this database for a role' END,
    concat_ws(E'\x1f', 'owner=' || pg_get_userbyid(NULLIF(s.setrole, 0)), (SELECT string_agg(c, E'\x1f' ORDER BY c) FROM unnest(s.setconfig) c)), 'pg_class'::regclass, NULL::oid, 0
FROM pg_db_role_setting s
WHERE s.setdatabase = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
