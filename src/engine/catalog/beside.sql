-- What a dump shows beside objects, rows and their order: of the database itself, of objects that came with the server or
-- an extension, and of what is inherited. One row for each fact; the first column says what it is of.
WITH acl (classid, objid, sub, acl) AS (
    SELECT 'pg_class'::regclass, c.oid, 0, c.relacl FROM pg_class c WHERE c.relacl IS NOT NULL
    UNION ALL SELECT 'pg_class'::regclass, a.attrelid, a.attnum, a.attacl FROM pg_attribute a WHERE a.attacl IS NOT NULL
    UNION ALL SELECT 'pg_proc'::regclass, p.oid, 0, p.proacl FROM pg_proc p WHERE p.proacl IS NOT NULL
    UNION ALL SELECT 'pg_type'::regclass, t.oid, 0, t.typacl FROM pg_type t WHERE t.typacl IS NOT NULL
    UNION ALL SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspacl FROM pg_namespace n WHERE n.nspacl IS NOT NULL
    UNION ALL SELECT 'pg_language'::regclass, l.oid, 0, l.lanacl FROM pg_language l WHERE l.lanacl IS NOT NULL
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 0, w.fdwacl FROM pg_foreign_data_wrapper w
        WHERE w.fdwacl IS NOT NULL
)
SELECT 'database', concat_ws(E'\x1f', pg_get_userbyid(d.datdba), d.datacl::text, shobj_description(d.oid, 'pg_database'),
    d.datconnlimit, d.datistemplate, d.encoding, d.datcollate, d.datctype)
FROM pg_database d WHERE d.datname = current_database()
UNION ALL SELECT 'privileges of the system', md5(string_agg(concat_ws(' ', a.classid, a.objid, a.sub, a.acl), E'\n'
    ORDER BY a.classid, a.objid, a.sub)) FROM acl a WHERE a.objid < 16384
UNION ALL SELECT 'privileges of extensions', (pg_identify_object(a.classid, a.objid, a.sub)).identity || ' ' || a.acl::text
FROM acl a JOIN pg_depend d ON d.deptype = 'e' AND d.classid = a.classid AND d.objid = a.objid
UNION ALL SELECT 'inherited column', concat_ws(' ', a.attrelid::regclass, a.attname, a.attinhcount, a.attislocal)
FROM pg_attribute a WHERE a.attrelid >= 16384 AND a.attinhcount > 0 AND NOT a.attisdropped
UNION ALL SELECT 'inherited constraint', concat_ws(' ', k.conrelid::regclass, k.conname, k.coninhcount, k.conislocal,
    k.conparentid <> 0)
FROM pg_constraint k WHERE k.oid >= 16384 AND k.coninhcount > 0
UNION ALL SELECT 'cloned trigger', concat_ws(' ', t.tgrelid::regclass, t.tgname)
FROM pg_trigger t WHERE t.tgparentid <> 0 AND NOT t.tgisinternal
-- These no catalog of ours holds whole.
UNION ALL SELECT 'unread', 'large objects' WHERE EXISTS (SELECT FROM pg_largeobject_metadata)
UNION ALL SELECT 'unread', 'security labels' WHERE EXISTS (SELECT FROM pg_seclabel) OR EXISTS (SELECT FROM pg_shseclabel)
UNION ALL SELECT 'unread', 'user mappings' WHERE EXISTS (SELECT FROM pg_user_mappings)
UNION ALL SELECT 'unread', 'subscriptions' WHERE EXISTS (SELECT oid FROM pg_subscription)
ORDER BY 1, 2
