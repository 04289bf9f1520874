-- NOT NULL without a long lock: the check is validated while others write, and then proves SET NOT NULL.

-- migrate:up
ALTER TABLE orders ALTER COLUMN total_amount SET DEFAULT 0;
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'orders'::regclass AND attname = 'total_amount' AND NOT attnotnull
    ) THEN
        ALTER TABLE orders ADD CONSTRAINT orders_total_amount_present CHECK (total_amount IS NOT NULL) NOT VALID;
        ALTER TABLE orders VALIDATE CONSTRAINT orders_total_amount_present;
        ALTER TABLE orders ALTER COLUMN total_amount SET NOT NULL;
        ALTER TABLE orders DROP CONSTRAINT orders_total_amount_present;
    END IF;
END
$$;

-- migrate:down
ALTER TABLE orders ALTER COLUMN total_amount DROP NOT NULL, ALTER COLUMN total_amount DROP DEFAULT;
