-- migrate:up
ALTER TABLE order_items ADD COLUMN IF NOT EXISTS note text;
COMMENT ON COLUMN order_items.note IS 'What the customer wishes for this line: an engraving, a colour; null for most.';

-- migrate:down
ALTER TABLE order_items DROP COLUMN IF EXISTS note;
