-- Rows for development and tests. They never reach a protected database, nor the baseline.
INSERT INTO greetings (language, greeting) VALUES
    ('fr', 'Bonjour')
ON CONFLICT (language) DO NOTHING;
