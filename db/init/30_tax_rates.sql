INSERT INTO tax_rates AS t (country_code, valid_from, rate) VALUES
    ('AT', '2020-01-01', 0.20),
    ('CH', '2018-01-01', 0.077),
    ('CH', '2024-01-01', 0.081),
    ('DE', '2021-01-01', 0.19),
    ('FR', '2014-01-01', 0.20),
    ('GB', '2011-01-04', 0.20),
    ('JP', '2019-10-01', 0.10),
    ('US', '2020-01-01', 0)
ON CONFLICT (country_code, valid_from) DO UPDATE SET rate = excluded.rate WHERE t.rate IS DISTINCT FROM excluded.rate;
