-- migrate:up
CREATE TABLE IF NOT EXISTS products (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku sku_code NOT NULL UNIQUE,
    title text NOT NULL,
    description text NOT NULL DEFAULT '',
    category_id integer NOT NULL REFERENCES categories,
    unit_price money_amount NOT NULL,
    currency_code char(3) NOT NULL REFERENCES currencies,
    discontinued_on date,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS products_category_id_idx ON products (category_id);
CREATE INDEX IF NOT EXISTS products_currency_code_idx ON products (currency_code);
CREATE INDEX IF NOT EXISTS products_for_sale_idx ON products (category_id, unit_price) WHERE discontinued_on IS NULL;

COMMENT ON TABLE products IS 'What the shop sells.';
COMMENT ON COLUMN products.id IS 'Surrogate key.';
COMMENT ON COLUMN products.sku IS 'Stock keeping unit, as printed on the shelf.';
COMMENT ON COLUMN products.description IS 'Text of the product page.';
COMMENT ON COLUMN products.category_id IS 'The category that lists it.';
COMMENT ON COLUMN products.unit_price IS 'Price of one piece, tax included.';
COMMENT ON COLUMN products.currency_code IS 'Currency of the price.';
COMMENT ON COLUMN products.discontinued_on IS 'First day on which it is no longer sold; null while it is.';
COMMENT ON COLUMN products.created_at IS 'When it was first listed.';

-- title is renamed later on; the guard lets this file run again after that.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'products'::regclass AND attname = 'title' AND NOT attisdropped
    ) THEN
        COMMENT ON COLUMN products.title IS 'Name shown to customers.';
    END IF;
END
$$;

-- migrate:down
DROP TABLE IF EXISTS products;
