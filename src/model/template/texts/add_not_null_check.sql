-- NOT NULL without a long lock, step 1 of 3: a check that new rows obey from now on. SET NOT NULL alone would read the whole
-- table under a lock that stops everyone.

-- migrate:up
DO $migration$
BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '{{table_literal}}'::regclass AND attname = '{{column_name}}' AND NOT attnotnull
    ) AND NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = '{{table_literal}}'::regclass AND conname = '{{constraint_name}}'
    ) THEN
        ALTER TABLE {{table}} ADD CONSTRAINT {{constraint}} CHECK ({{column}} IS NOT NULL) NOT VALID;
    END IF;
END
$migration$;

-- migrate:down
ALTER TABLE {{table}} DROP CONSTRAINT IF EXISTS {{constraint}};
