-- Enough rows for plans and screens to look as they do in production. All values follow from the row number, so that
-- every machine gets the same. Keys begin above those of the default set: either loads with or without the other.
INSERT INTO customers (id, email, given_name, family_name, created_at) OVERRIDING SYSTEM VALUE
SELECT 100000 + n,
    format('customer%s@example.com', n),
    (ARRAY['Anna', 'Ben', 'Chiara', 'Dmitri', 'Elif', 'Femi', 'Gus'])[1 + n % 7],
    (ARRAY['Adams', 'Bauer', 'Conti', 'Diaz', 'Eriksen'])[1 + n % 5] || '-' || n,
    timestamptz '2023-06-01 00:00:00+00' + n * interval '37 minutes'
FROM generate_series(1, 2000) AS n
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('customers', 'id'), (SELECT max(id) FROM customers));
