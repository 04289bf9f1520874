-- A few people, with fixed keys that the other files refer to.
INSERT INTO customers (id, email, given_name, family_name, created_at) OVERRIDING SYSTEM VALUE VALUES
    (1, 'ada@example.org', 'Ada', 'Byron', '2024-02-01 09:00:00+00'),
    (2, 'Grace@example.org', 'Grace Brewster', 'Murray', '2024-02-03 10:30:00+00'),
    (3, 'zoe@example.org', '', 'Zoë', '2024-03-15 18:45:00+00'),
    (4, 'o.brien@example.org', 'Máire', 'O''Brien', '2024-04-20 07:15:00+00')
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('customers', 'id'), (SELECT max(id) FROM customers));

INSERT INTO customer_addresses (id, customer_id, kind, address, is_default) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, 'delivery', ROW('Lindenallee 4', 'Berlin', '10115', 'DE'), true),
    (2, 1, 'billing', ROW('Postfach 12', 'Berlin', '10117', 'DE'), true),
    (3, 2, 'delivery', ROW('12, rue du Lac', 'Annecy', '74000', 'FR'), true),
    (4, 2, 'delivery', ROW('3 "Old" Mill Lane', 'York', 'YO1 7LZ', 'GB'), false),
    (5, 4, 'delivery', ROW('Hauptgasse 1', 'Bern', '3011', 'CH'), true)
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('customer_addresses', 'id'), (SELECT max(id) FROM customer_addresses));
