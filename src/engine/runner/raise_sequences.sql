DO $dbbuild$
DECLARE
    owned record;
    greatest_key bigint;
    next_key bigint;
BEGIN
    FOR owned IN
        SELECT s.oid::pg_catalog.regclass AS sequence, t.oid::pg_catalog.regclass AS relation, a.attname AS name,
               q.seqincrement AS step, q.seqmax AS most
        FROM pg_catalog.pg_class s
        JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.oid
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
        JOIN pg_catalog.pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p')
        JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
        WHERE s.relkind = 'S' AND q.seqincrement > 0 AND a.atttypid IN (20, 21, 23)
    LOOP
        BEGIN
            EXECUTE pg_catalog.format('SELECT pg_catalog.max(%I) FROM %s', owned.name, owned.relation) INTO greatest_key;
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            -- A foreign table below it cannot be read.
            CONTINUE;
        END;
        IF greatest_key > owned.most THEN
            -- It was given by hand, beyond what the sequence may reach.
            greatest_key := owned.most;
        END IF;
        EXECUTE pg_catalog.format('SELECT last_value + CASE WHEN is_called THEN %s ELSE 0 END FROM %s',
                                  owned.step, owned.sequence) INTO next_key;
        IF greatest_key >= next_key THEN
            PERFORM pg_catalog.setval(owned.sequence, greatest_key);
        END IF;
    END LOOP;
END
$dbbuild$
