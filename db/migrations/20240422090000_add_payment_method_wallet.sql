-- migrate:up
ALTER TYPE payment_method ADD VALUE IF NOT EXISTS 'wallet' AFTER 'card';

-- migrate:down
-- PostgreSQL cannot remove a value from an enum: the type is made anew. Payments by wallet make this fail on purpose.
ALTER TYPE payment_method RENAME TO payment_method_with_wallet;
CREATE TYPE payment_method AS ENUM ('card', 'bank_transfer');
COMMENT ON TYPE payment_method IS 'How a customer pays.';
ALTER TABLE payments ALTER COLUMN method TYPE payment_method USING method::text::payment_method;
DROP TYPE payment_method_with_wallet;
