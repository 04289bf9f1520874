-- Lookup tables with natural keys; their rows stand in db/init.

-- migrate:up
CREATE TABLE IF NOT EXISTS currencies (
    code char(3) PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'),
    name text NOT NULL,
    minor_units smallint NOT NULL DEFAULT 2 CHECK (minor_units BETWEEN 0 AND 4)
);
COMMENT ON TABLE currencies IS 'Currencies that prices and payments can be in.';
COMMENT ON COLUMN currencies.code IS 'ISO 4217 code.';
COMMENT ON COLUMN currencies.name IS 'English name.';
COMMENT ON COLUMN currencies.minor_units IS 'Digits after the decimal point.';

CREATE TABLE IF NOT EXISTS countries (
    code char(2) PRIMARY KEY CHECK (code ~ '^[A-Z]{2}$'),
    name text NOT NULL UNIQUE,
    currency_code char(3) NOT NULL REFERENCES currencies
);
CREATE INDEX IF NOT EXISTS countries_currency_code_idx ON countries (currency_code);
COMMENT ON TABLE countries IS 'Countries the shop delivers to.';
COMMENT ON COLUMN countries.code IS 'ISO 3166-1 alpha-2 code.';
COMMENT ON COLUMN countries.name IS 'English short name.';
COMMENT ON COLUMN countries.currency_code IS 'Currency that customers of this country see first.';

-- migrate:down
DROP TABLE IF EXISTS countries;
DROP TABLE IF EXISTS currencies;
