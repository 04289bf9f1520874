-- Orders whose stored total is not the sum of their lines.
SELECT o.id AS order_id, o.total_amount, coalesce(sum(i.line_total), 0) AS sum_of_lines
FROM orders o
LEFT JOIN order_items i ON i.order_id = o.id
GROUP BY o.id
HAVING o.total_amount <> coalesce(sum(i.line_total), 0)
ORDER BY o.id;
