-- needs contrib: citext
INSERT INTO newsletter_subscriptions (email, customer_id, confirmed, topics) VALUES
    ('Ada@Example.org', 1, true, '{offers,news}'),
    ('visitor@example.net', NULL, false, '{stock}')
ON CONFLICT (email) DO NOTHING;
