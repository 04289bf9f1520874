-- The unique index is what REFRESH MATERIALIZED VIEW CONCURRENTLY needs.

-- migrate:up
CREATE MATERIALIZED VIEW IF NOT EXISTS daily_sales AS
SELECT (o.placed_at AT TIME ZONE 'UTC')::date AS day,
    o.currency_code,
    count(DISTINCT o.id) AS orders,
    sum(i.quantity) AS pieces,
    sum(i.line_total) AS revenue
FROM orders o
JOIN order_items i ON i.order_id = o.id
WHERE o.status IN ('paid', 'shipped', 'delivered')
GROUP BY 1, 2;
CREATE UNIQUE INDEX IF NOT EXISTS daily_sales_key ON daily_sales (day, currency_code);
COMMENT ON MATERIALIZED VIEW daily_sales IS 'Sales by day and currency, refreshed each night.';
COMMENT ON COLUMN daily_sales.day IS 'Day on which the orders were placed, UTC.';
COMMENT ON COLUMN daily_sales.currency_code IS 'Currency of the revenue.';
COMMENT ON COLUMN daily_sales.orders IS 'Number of orders.';
COMMENT ON COLUMN daily_sales.pieces IS 'Pieces sold.';
COMMENT ON COLUMN daily_sales.revenue IS 'Sum of the lines.';

-- migrate:down
DROP MATERIALIZED VIEW IF EXISTS daily_sales;
