-- CONCURRENTLY lets others write while the index is built; it cannot run inside a transaction.

-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY IF NOT EXISTS {{index}} ON {{table}} ({{column}});

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY IF EXISTS {{schema_dot}}{{index}};
