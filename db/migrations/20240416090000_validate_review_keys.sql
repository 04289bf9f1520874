-- In a transaction of its own: validating takes a weak lock only.

-- migrate:up
ALTER TABLE reviews VALIDATE CONSTRAINT reviews_product_id_fkey;
ALTER TABLE reviews VALIDATE CONSTRAINT reviews_customer_id_fkey;

-- migrate:down
-- Nothing makes a constraint unproved again but making it anew.
ALTER TABLE reviews
    DROP CONSTRAINT IF EXISTS reviews_product_id_fkey,
    DROP CONSTRAINT IF EXISTS reviews_customer_id_fkey;
ALTER TABLE reviews
    ADD CONSTRAINT reviews_product_id_fkey
        FOREIGN KEY (product_id) REFERENCES products ON DELETE CASCADE NOT VALID,
    ADD CONSTRAINT reviews_customer_id_fkey
        FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE NOT VALID;
