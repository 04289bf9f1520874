-- A session of the web shop says which customer it serves: SET shop.customer_id = '…'.

-- migrate:up
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE customer_addresses ENABLE ROW LEVEL SECURITY;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policies WHERE tablename = 'orders' AND policyname = 'orders_of_customer') THEN
        CREATE POLICY orders_of_customer ON orders FOR SELECT TO shop_customer
            USING (customer_id = nullif(current_setting('shop.customer_id', true), '')::bigint);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_policies WHERE tablename = 'orders' AND policyname = 'orders_of_staff') THEN
        CREATE POLICY orders_of_staff ON orders TO shop_app USING (true) WITH CHECK (true);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_policies WHERE tablename = 'orders' AND policyname = 'orders_of_reports') THEN
        CREATE POLICY orders_of_reports ON orders FOR SELECT TO shop_reader USING (status <> 'draft');
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_policies WHERE tablename = 'customer_addresses' AND policyname = 'addresses_of_customer'
    ) THEN
        CREATE POLICY addresses_of_customer ON customer_addresses TO shop_customer
            USING (customer_id = nullif(current_setting('shop.customer_id', true), '')::bigint);
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_policies WHERE tablename = 'customer_addresses' AND policyname = 'addresses_of_staff'
    ) THEN
        CREATE POLICY addresses_of_staff ON customer_addresses TO shop_app USING (true) WITH CHECK (true);
    END IF;
END
$$;
GRANT SELECT ON orders TO shop_customer;
GRANT SELECT, INSERT, UPDATE, DELETE ON customer_addresses TO shop_customer;
COMMENT ON POLICY orders_of_customer ON orders IS 'Customers see their own orders.';

-- migrate:down
REVOKE ALL ON customer_addresses FROM shop_customer;
REVOKE ALL ON orders FROM shop_customer;
DROP POLICY IF EXISTS addresses_of_staff ON customer_addresses;
DROP POLICY IF EXISTS addresses_of_customer ON customer_addresses;
DROP POLICY IF EXISTS orders_of_reports ON orders;
DROP POLICY IF EXISTS orders_of_staff ON orders;
DROP POLICY IF EXISTS orders_of_customer ON orders;
ALTER TABLE customer_addresses DISABLE ROW LEVEL SECURITY;
ALTER TABLE orders DISABLE ROW LEVEL SECURITY;
