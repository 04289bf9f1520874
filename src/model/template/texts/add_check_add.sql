-- A check, step 1 of 2: NOT VALID checks new rows from now on and reads none of the old ones.

-- migrate:up
DO $migration$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = '{{table_literal}}'::regclass AND conname = '{{constraint_name}}'
    ) THEN
        ALTER TABLE {{table}} ADD CONSTRAINT {{constraint}}
            CHECK ({{check}}) NOT VALID;
    END IF;
END
$migration$;

-- migrate:down
ALTER TABLE {{table}} DROP CONSTRAINT IF EXISTS {{constraint}};
