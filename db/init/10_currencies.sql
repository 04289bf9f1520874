INSERT INTO currencies AS c (code, name, minor_units) VALUES
    ('CHF', 'Swiss franc', 2),
    ('EUR', 'Euro', 2),
    ('GBP', 'Pound sterling', 2),
    ('JPY', 'Yen', 0),
    ('USD', 'US dollar', 2)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, minor_units = excluded.minor_units
WHERE (c.name, c.minor_units) IS DISTINCT FROM (excluded.name, excluded.minor_units);
