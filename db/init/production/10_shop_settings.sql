-- Runs in databases of the environment `production` only.
INSERT INTO shop_settings AS s (key, value, description) VALUES
    ('base_url', '"https://shop.example"', 'Address of the shop, for links in messages.'),
    ('log_level', '"warning"', 'What the application writes to its log.'),
    ('send_mail', 'true', 'Whether messages are really sent.')
ON CONFLICT (key) DO UPDATE SET value = excluded.value, description = excluded.description
WHERE (s.value, s.description) IS DISTINCT FROM (excluded.value, excluded.description);
