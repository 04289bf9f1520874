-- Drops a column, step 1 of 2: an application that does not know it any more can insert rows.

-- migrate:up
DO $migration$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '{{table_literal}}'::regclass AND attname = '{{column_name}}' AND NOT attisdropped
    ) THEN
        RETURN; -- the last step was here already
    END IF;
    ALTER TABLE {{table}} ALTER COLUMN {{column}} DROP NOT NULL;
END
$migration$;

-- migrate:down
-- If the column was NOT NULL, the way back is: fill the nulls, then ALTER COLUMN … SET NOT NULL.
SELECT 1;
