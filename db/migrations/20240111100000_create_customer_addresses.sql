-- A composite column, and a partial unique index: at most one default address for each customer and kind.

-- migrate:up
CREATE TABLE IF NOT EXISTS customer_addresses (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE,
    kind text NOT NULL CONSTRAINT customer_addresses_kind_known CHECK (kind IN ('billing', 'delivery')),
    address postal_address NOT NULL,
    is_default boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS customer_addresses_customer_id_idx ON customer_addresses (customer_id);
CREATE UNIQUE INDEX IF NOT EXISTS customer_addresses_default_key
    ON customer_addresses (customer_id, kind) WHERE is_default;

COMMENT ON TABLE customer_addresses IS 'Addresses that a customer has entered.';
COMMENT ON COLUMN customer_addresses.id IS 'Surrogate key.';
COMMENT ON COLUMN customer_addresses.customer_id IS 'Whose address it is.';
COMMENT ON COLUMN customer_addresses.kind IS 'What it is for: billing or delivery.';
COMMENT ON COLUMN customer_addresses.address IS 'The address itself.';
COMMENT ON COLUMN customer_addresses.is_default IS 'Whether new orders start with it.';

-- migrate:down
DROP TABLE IF EXISTS customer_addresses;
