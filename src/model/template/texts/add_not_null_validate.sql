-- NOT NULL without a long lock, step 2 of 3: the old rows are checked while others read and write. It fails if a null is
-- left: fill those rows in a migration before this one (`dbbuild new --template backfill`).

-- migrate:up
DO $migration$
BEGIN
    IF EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = '{{table_literal}}'::regclass AND conname = '{{constraint_name}}' AND NOT convalidated
    ) THEN
        ALTER TABLE {{table}} VALIDATE CONSTRAINT {{constraint}};
    END IF;
END
$migration$;

-- migrate:down
-- Nothing makes a constraint unproved again but making it anew.
ALTER TABLE {{table}} DROP CONSTRAINT IF EXISTS {{constraint}};
ALTER TABLE {{table}} ADD CONSTRAINT {{constraint}} CHECK ({{column}} IS NOT NULL) NOT VALID;
