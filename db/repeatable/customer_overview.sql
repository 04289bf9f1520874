-- dbbuild:after order_summary.sql
-- In name order this file would come before the view that it reads.
CREATE OR REPLACE VIEW api.customer_overview WITH (security_invoker = true) AS
SELECT c.id AS customer_id,
    c.email,
    concat_ws(' ', nullif(c.given_name, ''), c.family_name) AS full_name,
    count(s.order_id) AS orders,
    max(s.placed_at) AS last_order_at,
    coalesce(sum(s.balance) FILTER (WHERE s.status <> 'cancelled'), 0) AS open_balance
FROM public.customers c
LEFT JOIN api.order_summary s ON s.customer_id = c.id
GROUP BY c.id;
COMMENT ON VIEW api.customer_overview IS 'Customers with the number and state of their orders.';
