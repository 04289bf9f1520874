INSERT INTO products (id, sku, name, description, category_id, unit_price, currency_code, created_at)
OVERRIDING SYSTEM VALUE
SELECT 100000 + n,
    'LOAD-' || n,
    format('%s %s', (ARRAY['Plain', 'Fine', 'Sturdy', 'Light'])[1 + n % 4], (ARRAY['bowl', 'lamp', 'tent'])[1 + n % 3]),
    format('Number %s of the load set.', n),
    c.id,
    5 + (n * 7919) % 20000 / 100.0,
    'EUR',
    '2023-06-01 00:00:00+00'
FROM generate_series(1, 300) AS n
JOIN categories c ON c.slug = (ARRAY['novels', 'cookery', 'kitchen', 'lighting', 'tents'])[1 + n % 5]
ORDER BY n
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('products', 'id'), (SELECT max(id) FROM products));

INSERT INTO warehouses (code, address) VALUES ('ROT1', ROW('Haven 9', 'Rotterdam', '3011', 'NL'))
ON CONFLICT (code) DO NOTHING;
INSERT INTO stock_levels (warehouse_code, product_id, on_hand)
SELECT 'ROT1', 100000 + n, (n * 31) % 500 FROM generate_series(1, 300) AS n
ON CONFLICT (warehouse_code, product_id) DO NOTHING;
