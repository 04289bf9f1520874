-- migrate:up
ALTER TABLE products ADD COLUMN IF NOT EXISTS search_vector tsvector
    GENERATED ALWAYS AS (
        setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('english', description), 'B')
    ) STORED;
COMMENT ON COLUMN products.search_vector IS 'What full text search looks at.';
CREATE INDEX IF NOT EXISTS products_search_vector_idx ON products USING gin (search_vector);

-- migrate:down
DROP INDEX IF EXISTS products_search_vector_idx;
ALTER TABLE products DROP COLUMN IF EXISTS search_vector;
