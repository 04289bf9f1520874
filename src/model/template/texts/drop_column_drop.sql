-- Drops a column, step 2 of 2. Deploy it once nothing reads or writes the column any more.

-- migrate:up
ALTER TABLE {{table}} DROP COLUMN IF EXISTS {{column}};

-- migrate:down
-- The column comes back; its values do not.
ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS {{column}} {{type}};
