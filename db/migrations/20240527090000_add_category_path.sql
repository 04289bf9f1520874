-- needs contrib: ltree
-- Whole branches of the tree in one comparison; db/repeatable/category_paths.sql keeps the paths.

-- migrate:up
CREATE EXTENSION IF NOT EXISTS ltree;
ALTER TABLE categories ADD COLUMN IF NOT EXISTS path ltree;
COMMENT ON COLUMN categories.path IS 'Slugs from the top down to this category.';

WITH RECURSIVE tree (id, path) AS (
    SELECT id, text2ltree(slug) FROM categories WHERE parent_id IS NULL
    UNION ALL
    SELECT c.id, t.path || c.slug FROM categories c JOIN tree t ON c.parent_id = t.id
)
UPDATE categories c SET path = t.path FROM tree t WHERE c.id = t.id AND c.path IS DISTINCT FROM t.path;

CREATE INDEX IF NOT EXISTS categories_path_idx ON categories USING gist (path);

-- migrate:down
ALTER TABLE categories DROP COLUMN IF EXISTS path;
DROP EXTENSION IF EXISTS ltree;
