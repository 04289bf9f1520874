INSERT INTO countries AS c (code, name, currency_code) VALUES
    ('AT', 'Austria', 'EUR'),
    ('CH', 'Switzerland', 'CHF'),
    ('DE', 'Germany', 'EUR'),
    ('FR', 'France', 'EUR'),
    ('GB', 'United Kingdom', 'GBP'),
    ('JP', 'Japan', 'JPY'),
    ('US', 'United States', 'USD')
ON CONFLICT (code) DO UPDATE SET name = excluded.name, currency_code = excluded.currency_code
WHERE (c.name, c.currency_code) IS DISTINCT FROM (excluded.name, excluded.currency_code);
