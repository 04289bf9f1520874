-- migrate:up
CREATE TABLE IF NOT EXISTS customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL CONSTRAINT customers_email_has_at CHECK (position('@' IN email) > 1),
    full_name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS customers_email_key ON customers (lower(email));

COMMENT ON TABLE customers IS 'People who have an account.';
COMMENT ON COLUMN customers.id IS 'Surrogate key.';
COMMENT ON COLUMN customers.email IS 'Where the customer is reached; unique without regard to case.';
COMMENT ON COLUMN customers.created_at IS 'When the account was opened.';

-- full_name is split in two later on; the guard lets this file run again after that.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'customers'::regclass AND attname = 'full_name' AND NOT attisdropped
    ) THEN
        COMMENT ON COLUMN customers.full_name IS 'Name as the customer writes it.';
    END IF;
END
$$;

-- migrate:down
DROP TABLE IF EXISTS customers;
