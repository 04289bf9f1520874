-- migrate:up
CREATE TABLE IF NOT EXISTS price_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES products ON DELETE CASCADE,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by name NOT NULL DEFAULT current_user,
    old_price money_amount NOT NULL,
    new_price money_amount NOT NULL,
    CONSTRAINT price_changes_really_changed CHECK (old_price <> new_price)
);
CREATE INDEX IF NOT EXISTS price_changes_product_id_idx ON price_changes (product_id, changed_at);
COMMENT ON TABLE price_changes IS 'Every change of a price; written by a trigger.';
COMMENT ON COLUMN price_changes.id IS 'Surrogate key.';
COMMENT ON COLUMN price_changes.product_id IS 'Whose price it is.';
COMMENT ON COLUMN price_changes.changed_at IS 'When it was changed.';
COMMENT ON COLUMN price_changes.changed_by IS 'Which role changed it.';
COMMENT ON COLUMN price_changes.old_price IS 'Price before.';
COMMENT ON COLUMN price_changes.new_price IS 'Price since then.';

-- migrate:down
DROP TABLE IF EXISTS price_changes;
