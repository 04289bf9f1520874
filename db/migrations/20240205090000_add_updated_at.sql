-- The columns stay null for the rows that exist: adding them rewrites nothing.

-- migrate:up
CREATE OR REPLACE FUNCTION set_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION set_updated_at() IS 'Trigger: notes the time of the last change.';

ALTER TABLE customers ADD COLUMN IF NOT EXISTS updated_at timestamptz;
ALTER TABLE products ADD COLUMN IF NOT EXISTS updated_at timestamptz;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS updated_at timestamptz;
COMMENT ON COLUMN customers.updated_at IS 'Last change; null if never changed.';
COMMENT ON COLUMN products.updated_at IS 'Last change; null if never changed.';
COMMENT ON COLUMN orders.updated_at IS 'Last change; null if never changed.';

CREATE OR REPLACE TRIGGER customers_set_updated_at BEFORE UPDATE ON customers
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER products_set_updated_at BEFORE UPDATE ON products
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER orders_set_updated_at BEFORE UPDATE ON orders
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- migrate:down
DROP TRIGGER IF EXISTS orders_set_updated_at ON orders;
DROP TRIGGER IF EXISTS products_set_updated_at ON products;
DROP TRIGGER IF EXISTS customers_set_updated_at ON customers;
ALTER TABLE orders DROP COLUMN IF EXISTS updated_at;
ALTER TABLE products DROP COLUMN IF EXISTS updated_at;
ALTER TABLE customers DROP COLUMN IF EXISTS updated_at;
DROP FUNCTION IF EXISTS set_updated_at();
