-- Orders that were sent without an address or a way to send them.
SELECT id AS order_id, status
FROM orders
WHERE status IN ('shipped', 'delivered') AND (delivery_address IS NULL OR shipping_method IS NULL)
ORDER BY id;
