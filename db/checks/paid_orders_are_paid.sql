-- Orders that count as paid although money is missing, or too much came in.
SELECT o.id AS order_id, o.status, order_balance(o.id) AS balance
FROM orders o
WHERE o.status IN ('paid', 'shipped', 'delivered') AND order_balance(o.id) <> 0
ORDER BY o.id;
