-- needs contrib: hstore

-- migrate:up
CREATE EXTENSION IF NOT EXISTS hstore;
ALTER TABLE products ADD COLUMN IF NOT EXISTS attributes hstore NOT NULL DEFAULT ''::hstore;
COMMENT ON COLUMN products.attributes IS 'Whatever else is worth knowing: colour, size, material.';
CREATE INDEX IF NOT EXISTS products_attributes_idx ON products USING gin (attributes);

-- migrate:down
ALTER TABLE products DROP COLUMN IF EXISTS attributes;
DROP EXTENSION IF EXISTS hstore;
