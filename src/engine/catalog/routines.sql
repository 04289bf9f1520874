-- when: true
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
    ns.id || '.' || quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')', concat_ws(E'\x1f',
    'definition=' || CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
    'result=' || CASE WHEN p.prokind = 'a' THEN pg_get_function_result(p.oid) END,
    'parallel=' || CASE WHEN p.prokind = 'a' THEN NULLIF(p.proparallel::text, 'u') END,
    'aggregate=' || CASE WHEN p.prokind = 'a' THEN (SELECT concat_ws(' ', g.aggkind, g.aggnumdirectargs,
        g.aggtransfn::text, g.aggfinalfn::text, g.aggcombinefn::text, g.aggserialfn::text, g.aggdeserialfn::text,
        g.aggmtransfn::text, g.aggminvtransfn::text, g.aggmfinalfn::text, g.aggfinalextra, g.aggmfinalextra,
        g.aggfinalmodify, g.aggmfinalmodify, g.aggsortop::regoperator::text, format_type(g.aggtranstype, NULL),
        g.aggtransspace, format_type(NULLIF(g.aggmtranstype, 0), NULL), g.aggmtransspace,
        'init', quote_nullable(g.agginitval), quote_nullable(g.aggminitval))
        FROM pg_aggregate g WHERE g.aggfnoid = p.oid) END,
    'owner=' || pg_get_userbyid(p.proowner),
    'privileges=' || COALESCE(p.proacl, acldefault('f', p.proowner))::text), 'pg_proc'::regclass, p.oid, 0
FROM pg_proc p
JOIN ns ON ns.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
    -- The constructors of a range type come with it.
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
-- when: true
SELECT 'type', t.id, concat_ws(E'\x1f',
    'labels=' || CASE WHEN t.typtype = 'e' THEN
        (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) END,
    'domain of=' || CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
    'not null=' || CASE WHEN t.typtype = 'd' THEN NULLIF(t.typnotnull, false) END,
    'default=' || CASE WHEN t.typtype = 'd' THEN COALESCE(pg_get_expr(t.typdefaultbin, 0), t.typdefault) END,
    'collation=' || CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN t.typcollation::regcollation::text END,
    'range=' || (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), format_type(r.rngmultitypid, NULL),
        NULLIF(r.rngcollation, 0)::regcollation, o.opcname, r.rngcanonical::text, r.rngsubdiff::text)
        FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid),
    'base=' || CASE WHEN t.typtype = 'b' THEN concat_ws(' ', t.typinput, t.typoutput, t.typreceive, t.typsend,
        t.typmodin, t.typmodout, t.typanalyze, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory,
        t.typispreferred, t.typdelim) END,
    'owner=' || pg_get_userbyid(t.typowner),
    'privileges=' || COALESCE(t.typacl, acldefault('T', t.typowner))::text), 'pg_type'::regclass, t.oid, 0
FROM typ t
LEFT JOIN pg_type b ON b.oid = t.typbasetype
-- when: EXISTS (SELECT FROM pg_class WHERE relkind = 'c' AND oid >= 16384)
-- The row type of a composite type carries its privileges and comment.
SELECT 'type', c.id, concat_ws(E'\x1f', 'privileges=' || COALESCE(t.typacl, acldefault('T', t.typowner))::text), 'pg_type'::regclass, t.oid, 0
FROM rel c
JOIN pg_type t ON t.oid = c.reltype
WHERE c.relkind = 'c'
-- when: EXISTS (SELECT FROM pg_cast WHERE oid >= 16384)
SELECT 'cast', format_type(k.castsource, NULL) || ' AS ' || format_type(k.casttarget, NULL), concat_ws(E'\x1f',
    'function=' || CASE WHEN k.castfunc <> 0 THEN k.castfunc::regprocedure::text END,
    'context=' || k.castcontext::text, 'method=' || k.castmethod::text), 'pg_cast'::regclass, k.oid, 0
FROM pg_cast k
WHERE k.oid >= 16384
-- when: EXISTS (SELECT FROM pg_operator WHERE oid >= 16384)
SELECT 'operator', ns.id || '.' || o.oprname || '(' || format_type(NULLIF(o.oprleft, 0), NULL) || ','
        || format_type(o.oprright, NULL) || ')', concat_ws(E'\x1f',
    'function=' || o.oprcode::regprocedure, 'commutator=' || NULLIF(o.oprcom, 0)::regoperator,
    'negator=' || NULLIF(o.oprnegate, 0)::regoperator, 'restrict=' || NULLIF(o.oprrest::oid, 0)::regproc,
    'join=' || NULLIF(o.oprjoin::oid, 0)::regproc, 'merges=' || NULLIF(o.oprcanmerge, false),
    'hashes=' || NULLIF(o.oprcanhash, false), 'owner=' || pg_get_userbyid(o.oprowner)), 'pg_operator'::regclass, o.oid, 0
FROM pg_operator o
JOIN ns ON ns.oid = o.oprnamespace
-- when: EXISTS (SELECT FROM pg_opclass WHERE oid >= 16384)
SELECT 'operator class', ns.id || '.' || quote_ident(o.opcname) || ' USING ' || am.amname, concat_ws(E'\x1f',
    'type=' || format_type(o.opcintype, NULL), 'family=' || f.opfname, 'default=' || NULLIF(o.opcdefault, false),
    'storage=' || format_type(NULLIF(o.opckeytype, 0), NULL), 'owner=' || pg_get_userbyid(o.opcowner)), 'pg_opclass'::regclass, o.oid, 0
FROM pg_opclass o
JOIN ns ON ns.oid = o.opcnamespace
JOIN pg_am am ON am.oid = o.opcmethod
JOIN pg_opfamily f ON f.oid = o.opcfamily
-- when: EXISTS (SELECT FROM pg_opfamily WHERE oid >= 16384)
SELECT 'operator family', ns.id || '.' || quote_ident(f.opfname) || ' USING ' || am.amname, concat_ws(E'\x1f',
    'operators=' || (SELECT string_agg(concat_ws(' ', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose), ', '
        ORDER BY a.amopstrategy, a.amopopr::regoperator::text) FROM pg_amop a WHERE a.amopfamily = f.oid),
    'functions=' || (SELECT string_agg(concat_ws(' ', a.amprocnum, format_type(a.amproclefttype, NULL),
        format_type(a.amprocrighttype, NULL), a.amproc::regprocedure), ', '
        ORDER BY a.amprocnum, format_type(a.amproclefttype, NULL), format_type(a.amprocrighttype, NULL))
        FROM pg_amproc a WHERE a.amprocfamily = f.oid),
    'owner=' || pg_get_userbyid(f.opfowner)), 'pg_opfamily'::regclass, f.oid, 0
FROM pg_opfamily f
JOIN ns ON ns.oid = f.opfnamespace
JOIN pg_am am ON am.oid = f.opfmethod
-- when: EXISTS (SELECT FROM pg_language WHERE oid >= 16384)
SELECT 'language', quote_ident(l.lanname), concat_ws(E'\x1f', 'trusted=' || l.lanpltrusted,
    'handler=' || l.lanplcallfoid::regproc, 'inline=' || l.laninline::regproc, 'validator=' || l.lanvalidator::regproc,
    'owner=' || pg_get_userbyid(l.lanowner), 'privileges=' || COALESCE(l.lanacl, acldefault('l', l.lanowner))::text), 'pg_language'::regclass, l.oid, 0
FROM pg_language l
WHERE l.oid >= 16384
-- when: EXISTS (SELECT FROM pg_transform)
SELECT 'transform', format_type(t.trftype, NULL) || ' FOR ' || l.lanname,
    concat_ws(E'\x1f', 'from=' || t.trffromsql::regprocedure, 'to=' || t.trftosql::regprocedure), 'pg_transform'::regclass, t.oid, 0
FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang
