INSERT INTO shipping_methods AS s (code, name, max_weight_grams, delivery_time) VALUES
    ('letter', 'Letter', 1000, '3 days'),
    ('parcel', 'Parcel', 31500, '2 days'),
    ('express', 'Express', 20000, '1 day'),
    ('freight', 'Freight', NULL, '5 days')
ON CONFLICT (code) DO UPDATE
SET name = excluded.name, max_weight_grams = excluded.max_weight_grams, delivery_time = excluded.delivery_time
WHERE (s.name, s.max_weight_grams, s.delivery_time)
    IS DISTINCT FROM (excluded.name, excluded.max_weight_grams, excluded.delivery_time);
