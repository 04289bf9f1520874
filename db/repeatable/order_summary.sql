CREATE OR REPLACE VIEW api.order_summary WITH (security_invoker = true) AS
SELECT o.id AS order_id,
    o.customer_id,
    o.status,
    o.placed_at,
    o.currency_code,
    o.total_amount,
    public.order_balance(o.id) AS balance,
    (SELECT count(*) FROM public.order_items i WHERE i.order_id = o.id) AS lines
FROM public.orders o
WHERE o.status <> 'draft';
COMMENT ON VIEW api.order_summary IS 'Orders without their lines; a customer sees their own only.';
