-- migrate:up
CREATE TABLE IF NOT EXISTS payments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES orders,
    method payment_method NOT NULL,
    amount money_amount NOT NULL CONSTRAINT payments_amount_positive CHECK (amount > 0),
    provider_reference text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payments_provider_reference_key UNIQUE (method, provider_reference)
);
CREATE INDEX IF NOT EXISTS payments_order_id_idx ON payments (order_id);

COMMENT ON TABLE payments IS 'Money received for orders.';
COMMENT ON COLUMN payments.id IS 'Surrogate key.';
COMMENT ON COLUMN payments.order_id IS 'What was paid.';
COMMENT ON COLUMN payments.method IS 'How it was paid.';
COMMENT ON COLUMN payments.amount IS 'How much, in the currency of the order.';
COMMENT ON COLUMN payments.provider_reference IS 'The reference that the bank or payment provider gives.';
COMMENT ON COLUMN payments.received_at IS 'When the money arrived.';

-- migrate:down
DROP TABLE IF EXISTS payments;
