WITH RECURSIVE said (body, words) AS (
    SELECT b.body, pg_catalog.regexp_split_to_array(pg_catalog.lower(b.body), '[^[:alnum:]_$]+')
    FROM (SELECT {script}::text) b (body)
    UNION
    SELECT b.body, pg_catalog.regexp_split_to_array(pg_catalog.lower(b.body), '[^[:alnum:]_$]+')
    FROM said s
    JOIN pg_catalog.pg_proc p ON p.prokind IN ('f', 'p') AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
        AND pg_catalog.lower(p.proname) = ANY (s.words),
        LATERAL (SELECT pg_catalog.pg_get_functiondef(p.oid)) b (body)
)
SELECT DISTINCT pg_catalog.format('ALTER SEQUENCE %I.%I INCREMENT BY %s', n.nspname, c.relname, q.seqincrement)
FROM pg_catalog.pg_sequence q
JOIN pg_catalog.pg_class c ON c.oid = q.seqrelid AND c.relpersistence <> 't' AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN ('dbbuild', 'dbbuild_attic')
LEFT JOIN pg_catalog.pg_depend d ON d.classid = 1259 AND d.objid = c.oid AND d.refclassid = 1259 AND d.deptype IN ('a', 'i')
LEFT JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
WHERE EXISTS (SELECT FROM said s WHERE 'setval' = ANY (s.words))
    AND EXISTS (SELECT FROM said s, (VALUES (c.relname), (t.relname)) named (name)
        WHERE pg_catalog.lower(named.name) = ANY (s.words)
            OR named.name ~ '[^[:alnum:]_$]' AND pg_catalog.strpos(pg_catalog.translate(s.body, '''"', ''), pg_catalog.translate(named.name, '''"', '')) > 0)
ORDER BY 1
