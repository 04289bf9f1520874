INSERT INTO products (id, sku, name, description, category_id, unit_price, currency_code, discontinued_on, created_at)
OVERRIDING SYSTEM VALUE
SELECT new.id, new.sku, new.name, new.description, c.id, new.price, 'EUR', new.discontinued_on,
    '2024-01-15 08:00:00+00'
FROM (VALUES
    (1, 'NOV-0001', 'The Quiet Harbour', 'A novel about a lighthouse.', 'novels', 14.90, NULL::date),
    (2, 'COOK-0001', 'Bread at Home', 'Sixty recipes for bread.', 'cookery', 29.00, NULL),
    (3, 'KIT-0001', 'Enamel pan', 'Pan of 24 cm with a wooden handle.', 'kitchen', 39.50, NULL),
    (4, 'LIGHT-0001', 'Reading lamp', 'Brass lamp with a dimmer.', 'lighting', 79.00, NULL),
    (5, 'TENT-0001', 'Two-person tent', 'Light tent for two, 1.8 kg.', 'tents', 249.00, NULL),
    (6, 'TENT-0000', 'Old two-person tent', 'The model before.', 'tents', 199.00, '2024-03-01')
) AS new (id, sku, name, description, category, price, discontinued_on)
JOIN categories c ON c.slug = new.category
ORDER BY new.id
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('products', 'id'), (SELECT max(id) FROM products));

INSERT INTO warehouses (code, address) VALUES
    ('HAM1', ROW('Kai 7', 'Hamburg', '20457', 'DE')),
    ('LYS1', ROW('Quai 2', 'Lyon', '69002', 'FR'))
ON CONFLICT (code) DO NOTHING;

INSERT INTO stock_levels (warehouse_code, product_id, on_hand, reserved) VALUES
    ('HAM1', 1, 120, 1), ('HAM1', 2, 40, 0), ('HAM1', 3, 15, 0), ('HAM1', 4, 8, 1),
    ('LYS1', 1, 30, 0), ('LYS1', 5, 6, 1), ('LYS1', 6, 0, 0)
ON CONFLICT (warehouse_code, product_id) DO NOTHING;

INSERT INTO campaigns (id, name, period, discount_percent, cancelled) OVERRIDING SYSTEM VALUE VALUES
    (1, 'Spring sale', '[2024-03-20,2024-04-01)', 10, false),
    (2, 'Spring sale, first plan', '[2024-03-15,2024-03-25)', 15, true),
    (3, 'Summer sale', '[2024-07-01,2024-08-01)', 20, false)
ON CONFLICT (id) DO NOTHING;
SELECT setval(pg_get_serial_sequence('campaigns', 'id'), (SELECT max(id) FROM campaigns));
