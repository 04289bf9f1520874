-- The foreign keys start NOT VALID: new rows are checked from now on, and no table is locked while it is read.

-- migrate:up
CREATE TABLE IF NOT EXISTS reviews (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    rating smallint NOT NULL CONSTRAINT reviews_rating_in_range CHECK (rating BETWEEN 1 AND 5),
    body text NOT NULL DEFAULT '',
    written_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reviews_one_for_each_product UNIQUE (product_id, customer_id)
);
CREATE INDEX IF NOT EXISTS reviews_customer_id_idx ON reviews (customer_id);
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint WHERE conrelid = 'reviews'::regclass AND conname = 'reviews_product_id_fkey'
    ) THEN
        ALTER TABLE reviews ADD CONSTRAINT reviews_product_id_fkey
            FOREIGN KEY (product_id) REFERENCES products ON DELETE CASCADE NOT VALID;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_constraint WHERE conrelid = 'reviews'::regclass AND conname = 'reviews_customer_id_fkey'
    ) THEN
        ALTER TABLE reviews ADD CONSTRAINT reviews_customer_id_fkey
            FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE NOT VALID;
    END IF;
END
$$;
COMMENT ON TABLE reviews IS 'What customers say about products.';
COMMENT ON COLUMN reviews.id IS 'Surrogate key.';
COMMENT ON COLUMN reviews.product_id IS 'What it is about.';
COMMENT ON COLUMN reviews.customer_id IS 'Who wrote it.';
COMMENT ON COLUMN reviews.rating IS 'Stars, 1 to 5.';
COMMENT ON COLUMN reviews.body IS 'The text; may be empty.';
COMMENT ON COLUMN reviews.written_at IS 'When it was written.';

-- migrate:down
DROP TABLE IF EXISTS reviews;
