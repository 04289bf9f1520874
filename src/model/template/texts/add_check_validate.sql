-- A check, step 2 of 2: the old rows are checked while others read and write. It fails if a row breaks the
-- rule: mend such rows in a migration before this one.

-- migrate:up
ALTER TABLE {{table}} VALIDATE CONSTRAINT {{constraint}};

-- migrate:down
-- Nothing makes a constraint unproved again but making it anew.
ALTER TABLE {{table}} DROP CONSTRAINT IF EXISTS {{constraint}};
ALTER TABLE {{table}} ADD CONSTRAINT {{constraint}}
    CHECK ({{check}}) NOT VALID;
