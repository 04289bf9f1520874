-- A tree by reference to the parent, with a serial key.

-- migrate:up
CREATE TABLE IF NOT EXISTS categories (
    id serial PRIMARY KEY,
    parent_id integer REFERENCES categories,
    slug text NOT NULL UNIQUE CONSTRAINT categories_slug_format CHECK (slug ~ '^[a-z0-9_]+$'),
    name text NOT NULL,
    CONSTRAINT categories_not_own_parent CHECK (parent_id <> id)
);
CREATE INDEX IF NOT EXISTS categories_parent_id_idx ON categories (parent_id);

COMMENT ON TABLE categories IS 'Tree of product categories.';
COMMENT ON COLUMN categories.id IS 'Surrogate key.';
COMMENT ON COLUMN categories.parent_id IS 'The category above; null at the top.';
COMMENT ON COLUMN categories.slug IS 'Stable name for addresses of pages.';
COMMENT ON COLUMN categories.name IS 'Name shown to customers.';

-- migrate:down
DROP TABLE IF EXISTS categories;
