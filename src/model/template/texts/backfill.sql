-- Fills a column, a batch in each transaction: neither a long lock nor a bloated table. Whoever interrupts it may simply
-- run it again.

-- migrate:up transaction:false
DO $migration$
DECLARE
    after_key {{table}}.{{key}}%TYPE;
    last_key {{table}}.{{key}}%TYPE;
BEGIN
    LOOP
        SELECT b.key INTO last_key FROM (
            SELECT {{key}} AS key FROM {{table}} WHERE after_key IS NULL OR {{key}} > after_key ORDER BY {{key}} LIMIT 1000
        ) AS b ORDER BY b.key DESC LIMIT 1;
        EXIT WHEN NOT FOUND;
        UPDATE {{table}}
        SET {{column}} = {{value}}
        WHERE (after_key IS NULL OR {{key}} > after_key) AND {{key}} <= last_key AND {{column}} IS NULL;
        after_key := last_key;
        COMMIT;
    END LOOP;
END
$migration$;

-- migrate:down
-- Nobody can tell any more which rows were filled; nothing to undo here.
SELECT 1;
