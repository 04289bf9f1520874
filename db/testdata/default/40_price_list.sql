-- needs contrib: btree_gist
INSERT INTO price_list (id, product_id, valid, unit_price) OVERRIDING SYSTEM VALUE VALUES
    (1, 4, '[2024-04-01,2024-05-01)', 69.00),
    (2, 4, '[2024-05-01,2024-06-01)', 72.00),
    (3, 5, '[2024-05-01,2024-05-15)', 229.00)
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('price_list', 'id'), (SELECT max(id) FROM price_list));
