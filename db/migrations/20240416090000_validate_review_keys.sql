-- In a transaction of its own: validating takes a weak lock only.

-- migrate:up
ALTER TABLE reviews VALIDATE CONSTRAINT reviews_product_id_fkey;
ALTER TABLE reviews VALIDATE CONSTRAINT reviews_customer_id_fkey;

-- migrate:down
-- A constraint cannot be made unproved again, and need not be: it holds either way.
SELECT 1;
