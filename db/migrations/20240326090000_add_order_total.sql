-- The total of an order is read far more often than it changes; a trigger (db/repeatable/order_totals.sql) keeps it.

-- migrate:up
ALTER TABLE orders ADD COLUMN IF NOT EXISTS total_amount money_amount;
COMMENT ON COLUMN orders.total_amount IS 'Sum of its lines.';

-- migrate:down
ALTER TABLE orders DROP COLUMN IF EXISTS total_amount;
