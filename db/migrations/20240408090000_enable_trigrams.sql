-- needs contrib: pg_trgm

-- migrate:up
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- migrate:down
DROP EXTENSION IF EXISTS pg_trgm;
