-- Adds a column. Without a volatile default this rewrites nothing, however large the table is.

-- migrate:up
ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS {{column}} {{type}};
COMMENT ON COLUMN {{table}}.{{column}} IS 'Say what it means, and in which unit.';

-- migrate:down
ALTER TABLE {{table}} DROP COLUMN IF EXISTS {{column}};
