-- Rows that every database needs. They are written again on every change of this file, so that a second run must change
-- nothing. What only one environment needs stands in a folder of its name.
INSERT INTO greetings (language, greeting) VALUES
    ('en', 'Hello')
ON CONFLICT (language) DO NOTHING;
