-- migrate:up
CREATE TABLE IF NOT EXISTS tax_rates (
    country_code char(2) NOT NULL REFERENCES countries,
    valid_from date NOT NULL,
    rate numeric(5, 4) NOT NULL CONSTRAINT tax_rates_rate_is_fraction CHECK (rate >= 0 AND rate < 1),
    PRIMARY KEY (country_code, valid_from)
);
COMMENT ON TABLE tax_rates IS 'Value added tax by country and time.';
COMMENT ON COLUMN tax_rates.country_code IS 'Where it is due.';
COMMENT ON COLUMN tax_rates.valid_from IS 'First day of validity; the next row of the country ends it.';
COMMENT ON COLUMN tax_rates.rate IS 'The rate as a fraction: 0.19 is 19 %.';

CREATE TABLE IF NOT EXISTS shipping_methods (
    code text PRIMARY KEY,
    name text NOT NULL,
    max_weight_grams integer CHECK (max_weight_grams > 0),
    delivery_time interval day NOT NULL
);
COMMENT ON TABLE shipping_methods IS 'Ways to send a parcel.';
COMMENT ON COLUMN shipping_methods.code IS 'Stable name.';
COMMENT ON COLUMN shipping_methods.name IS 'Name shown to customers.';
COMMENT ON COLUMN shipping_methods.max_weight_grams IS 'Heaviest parcel; null for no limit.';
COMMENT ON COLUMN shipping_methods.delivery_time IS 'Usual time until delivery.';

ALTER TABLE orders ADD COLUMN IF NOT EXISTS shipping_method text REFERENCES shipping_methods;
CREATE INDEX IF NOT EXISTS orders_shipping_method_idx ON orders (shipping_method) WHERE shipping_method IS NOT NULL;
COMMENT ON COLUMN orders.shipping_method IS 'How it is sent; null until the customer chooses.';

-- migrate:down
ALTER TABLE orders DROP COLUMN IF EXISTS shipping_method;
DROP TABLE IF EXISTS shipping_methods;
DROP TABLE IF EXISTS tax_rates;
