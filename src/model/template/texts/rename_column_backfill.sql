-- {{column_comment}} becomes {{to_comment}}, step 2 of 3: fill the rows written before step 1, a batch in each transaction.

-- migrate:up transaction:false
DO $migration$
DECLARE
    after_key {{table}}.{{key}}%TYPE;
    last_key {{table}}.{{key}}%TYPE;
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '{{table_literal}}'::regclass AND attname = '{{column_name}}' AND NOT attisdropped
    ) THEN
        RETURN; -- the last step was here already
    END IF;
    LOOP
        SELECT b.key INTO last_key FROM (
            SELECT {{key}} AS key FROM {{table}} WHERE after_key IS NULL OR {{key}} > after_key ORDER BY {{key}} LIMIT 1000
        ) AS b ORDER BY b.key DESC LIMIT 1;
        EXIT WHEN NOT FOUND;
        UPDATE {{table}}
        SET {{to}} = {{column}}
        WHERE (after_key IS NULL OR {{key}} > after_key) AND {{key}} <= last_key AND {{to}} IS NULL AND {{column}} IS NOT NULL;
        after_key := last_key;
        COMMIT;
    END LOOP;
END
$migration$;

-- migrate:down
-- The column that was filled goes with step 1; nothing to undo here.
SELECT 1;
