-- Orders are written all day long: CONCURRENTLY lets that go on, and cannot run inside a transaction.

-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer_id_created_at_idx ON orders (customer_id, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_received_at_idx ON payments USING brin (received_at);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY IF EXISTS payments_received_at_idx;
DROP INDEX CONCURRENTLY IF EXISTS orders_customer_id_created_at_idx;
