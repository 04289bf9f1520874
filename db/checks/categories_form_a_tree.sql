-- Categories that cannot be reached from the top: their parents form a ring.
WITH RECURSIVE tree (id) AS (
    SELECT id FROM categories WHERE parent_id IS NULL
    UNION ALL
    SELECT c.id FROM categories c JOIN tree t ON c.parent_id = t.id
)
SELECT id, slug FROM categories WHERE id NOT IN (SELECT id FROM tree) ORDER BY id;
