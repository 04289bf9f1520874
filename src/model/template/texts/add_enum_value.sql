-- The new value can be used once this is committed: by the next migration, not by this one.

-- migrate:up
ALTER TYPE {{enum}} ADD VALUE IF NOT EXISTS '{{value_literal}}';

-- migrate:down
-- PostgreSQL cannot remove a value from an enum. It stays, and does no harm where nothing uses it.
SELECT 1;
