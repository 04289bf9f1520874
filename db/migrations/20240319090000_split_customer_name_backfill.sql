-- customers.full_name is split into given_name and family_name, step 2 of 3: fill the rows written before step 1.

-- migrate:up transaction:false
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'customers'::regclass AND attname = 'full_name' AND NOT attisdropped
    ) THEN
        RETURN; -- step 3 was here already
    END IF;
    LOOP
        UPDATE customers
        SET given_name = trim(regexp_replace(full_name, '\S+\s*$', '')),
            family_name = coalesce(substring(full_name FROM '(\S+)\s*$'), '')
        WHERE id IN (SELECT id FROM customers WHERE family_name IS NULL ORDER BY id LIMIT 1000);
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;

-- migrate:down
-- The columns that were filled go with step 1; nothing to undo here.
SELECT 1;
