-- One order in most states; triggers sum up the lines.
INSERT INTO orders
    (id, customer_id, status, currency_code, delivery_address, created_at, placed_at, shipping_method) VALUES
    (1, 1, 'delivered', 'EUR', ROW('Lindenallee 4', 'Berlin', '10115', 'DE'),
        '2024-03-01 10:00:00+00', '2024-03-01 10:20:00+00', 'parcel'),
    (2, 2, 'paid', 'EUR', ROW('12, rue du Lac', 'Annecy', '74000', 'FR'),
        '2024-05-05 12:00:00+00', '2024-05-05 12:10:00+00', 'express'),
    (3, 4, 'placed', 'EUR', ROW('Hauptgasse 1', 'Bern', '3011', 'CH'),
        '2024-05-07 20:00:00+00', '2024-05-07 20:30:00+00', 'parcel'),
    (4, 1, 'draft', 'EUR', NULL, '2024-06-01 08:00:00+00', NULL, NULL),
    (5, 2, 'cancelled', 'EUR', NULL, '2024-02-10 09:00:00+00', NULL, NULL)
ON CONFLICT (id) DO NOTHING;

INSERT INTO order_items (order_id, line_no, product_id, quantity, unit_price) VALUES
    (1, 1, 1, 2, 14.90), (1, 2, 3, 1, 39.50),
    (2, 1, 5, 1, 249.00), (2, 2, 1, 1, 14.90),
    (3, 1, 4, 1, 79.00),
    (4, 1, 2, 1, 29.00)
ON CONFLICT (order_id, line_no) DO NOTHING;

INSERT INTO payments (id, order_id, method, amount, provider_reference, received_at) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, 'card', 69.30, 'card-000001', '2024-03-01 10:21:00+00'),
    (2, 2, 'bank_transfer', 200.00, 'bank-000001', '2024-05-06 06:00:00+00'),
    (3, 2, 'wallet', 63.90, 'wallet-000001', '2024-05-06 06:30:00+00')
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('payments', 'id'), (SELECT max(id) FROM payments));

INSERT INTO order_events (id, order_id, occurred_at, old_status, new_status) VALUES
    (1, 1, '2024-03-01 10:20:00+00', 'draft', 'placed'),
    (2, 1, '2024-03-01 10:21:00+00', 'placed', 'paid'),
    (3, 1, '2024-03-02 15:00:00+00', 'paid', 'shipped'),
    (4, 1, '2024-03-04 11:00:00+00', 'shipped', 'delivered'),
    (5, 2, '2024-05-06 06:30:00+00', 'placed', 'paid')
ON CONFLICT (id, occurred_at) DO NOTHING;
SELECT setval('order_events_id_seq', (SELECT max(id) FROM order_events));

INSERT INTO reviews (id, product_id, customer_id, rating, body, written_at) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, 1, 5, 'Read it twice.', '2024-03-20 21:00:00+00'),
    (2, 3, 1, 4, 'Heavy, but good.', '2024-03-21 08:00:00+00')
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('reviews', 'id'), (SELECT max(id) FROM reviews));
