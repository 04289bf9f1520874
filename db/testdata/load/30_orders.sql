INSERT INTO orders (id, customer_id, status, currency_code, delivery_address, created_at, placed_at, shipping_method)
SELECT 100000 + n,
    100001 + (n * 13) % 2000,
    'delivered',
    'EUR',
    ROW('Street ' || n % 200, 'Town ' || n % 40, lpad((n % 99999)::text, 5, '0'), 'DE'::char(2))::postal_address,
    timestamptz '2023-09-01 00:00:00+00' + n * interval '53 minutes',
    timestamptz '2023-09-01 00:10:00+00' + n * interval '53 minutes',
    (ARRAY['letter', 'parcel', 'express'])[1 + n % 3]
FROM generate_series(1, 1000) AS n
ON CONFLICT (id) DO NOTHING;

INSERT INTO order_items (order_id, line_no, product_id, quantity, unit_price)
SELECT 100000 + n, line, p.id, 1 + (n + line) % 4, p.unit_price
FROM generate_series(1, 1000) AS n
CROSS JOIN generate_series(1, 2) AS line
JOIN products p ON p.id = 100001 + (n * 17 + line * 101) % 300
ON CONFLICT (order_id, line_no) DO NOTHING;

INSERT INTO payments (id, order_id, method, amount, provider_reference, received_at) OVERRIDING SYSTEM VALUE
SELECT o.id, o.id, 'card', o.total_amount, 'load-' || o.id, o.placed_at + interval '1 minute'
FROM orders o
WHERE o.id > 100000 AND o.id <= 101000
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('payments', 'id'), (SELECT max(id) FROM payments));
SELECT setval(pg_get_serial_sequence('orders', 'id'), (SELECT max(id) FROM orders));

INSERT INTO order_events (id, order_id, occurred_at, old_status, new_status)
SELECT o.id, o.id, o.placed_at, 'draft', 'placed' FROM orders o WHERE o.id > 100000 AND o.id <= 101000
ON CONFLICT (id, occurred_at) DO NOTHING;
SELECT setval('order_events_id_seq', (SELECT max(id) FROM order_events));
