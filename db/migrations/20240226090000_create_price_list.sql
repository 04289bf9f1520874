-- needs contrib: btree_gist

-- migrate:up
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE IF NOT EXISTS price_list (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES products ON DELETE CASCADE,
    valid daterange NOT NULL,
    unit_price money_amount NOT NULL,
    CONSTRAINT price_list_one_price_a_day EXCLUDE USING gist (product_id WITH =, valid WITH &&)
);
COMMENT ON TABLE price_list IS 'Prices that differ from the usual one for a time.';
COMMENT ON COLUMN price_list.id IS 'Surrogate key.';
COMMENT ON COLUMN price_list.product_id IS 'The product.';
COMMENT ON COLUMN price_list.valid IS 'Days on which the price holds; those of one product do not overlap.';
COMMENT ON COLUMN price_list.unit_price IS 'Price of one piece on those days.';

-- migrate:down
DROP TABLE IF EXISTS price_list;
DROP EXTENSION IF EXISTS btree_gist;
