-- Runs in databases of the environment `development` only.
INSERT INTO shop_settings AS s (key, value, description) VALUES
    ('base_url', '"http://localhost:8080"', 'Address of the shop, for links in messages.'),
    ('log_level', '"debug"', 'What the application writes to its log.'),
    ('send_mail', 'false', 'Whether messages are really sent.')
ON CONFLICT (key) DO UPDATE SET value = excluded.value, description = excluded.description
WHERE (s.value, s.description) IS DISTINCT FROM (excluded.value, excluded.description);
