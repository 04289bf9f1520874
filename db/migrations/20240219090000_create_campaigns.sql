-- An exclusion constraint over a range alone needs no extension.

-- migrate:up
CREATE TABLE IF NOT EXISTS campaigns (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    period daterange NOT NULL CONSTRAINT campaigns_period_not_empty CHECK (NOT isempty(period)),
    discount_percent numeric(4, 1) NOT NULL,
    cancelled boolean NOT NULL DEFAULT false,
    CONSTRAINT campaigns_discount_in_range CHECK (discount_percent > 0 AND discount_percent <= 90),
    CONSTRAINT campaigns_do_not_overlap EXCLUDE USING gist (period WITH &&) WHERE (NOT cancelled)
);
COMMENT ON TABLE campaigns IS 'Discounts on everything, one at a time.';
COMMENT ON COLUMN campaigns.id IS 'Surrogate key.';
COMMENT ON COLUMN campaigns.name IS 'Name shown to customers.';
COMMENT ON COLUMN campaigns.period IS 'Days on which it holds.';
COMMENT ON COLUMN campaigns.discount_percent IS 'Discount in percent.';
COMMENT ON COLUMN campaigns.cancelled IS 'Whether it was called off.';

-- migrate:down
DROP TABLE IF EXISTS campaigns;
