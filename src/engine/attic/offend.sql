SELECT pg_catalog.json_build_object('kind', k.contype::text, 'check', pg_catalog.pg_get_expr(k.conbin, k.conrelid),
    'own', (SELECT coalesce(pg_catalog.json_agg(a.attname ORDER BY n.nth), '[]') FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY n (number, nth)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n.number),
    'other', (SELECT pg_catalog.json_build_array(s.nspname, r.relname, r.relkind::text) FROM pg_catalog.pg_class r
        JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace WHERE r.oid = k.confrelid),
    'keys', (SELECT coalesce(pg_catalog.json_agg(a.attname ORDER BY n.nth), '[]') FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY n (number, nth)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = n.number),
    'operators', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.format('OPERATOR(%I.%s)', s.nspname, o.oprname) ORDER BY n.nth), '[]')
        FROM pg_catalog.unnest(k.conexclop) WITH ORDINALITY n (oid, nth) JOIN pg_catalog.pg_operator o ON o.oid = n.oid
        JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace),
    'expressions', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.pg_get_indexdef(i.indexrelid, n, true) ORDER BY n), '[]')
        FROM pg_catalog.generate_series(1, i.indnkeyatts) n),
    'unique', coalesce(i.indisunique, false), 'where', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
    'nulls', coalesce((pg_catalog.to_jsonb(i)->>'indnullsnotdistinct')::boolean, false))::text
FROM (SELECT) one
LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = {table} AND k.conname = {name}
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = coalesce(NULLIF(k.conindid, 0), (SELECT x.oid FROM pg_catalog.pg_class x
    JOIN pg_catalog.pg_index xi ON xi.indexrelid = x.oid AND xi.indrelid = {table} WHERE x.relname = {name}))
WHERE k.oid IS NOT NULL OR i.indexrelid IS NOT NULL
