-- needs contrib: pg_trgm
-- For searches with typing errors.

-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY IF NOT EXISTS products_name_trgm_idx ON products USING gin (name gin_trgm_ops);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY IF EXISTS products_name_trgm_idx;
