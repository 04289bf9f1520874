-- needs contrib: ltree
-- Categories whose path is not their parent's path and their own slug.
SELECT c.id, c.path
FROM categories c
LEFT JOIN categories parent ON parent.id = c.parent_id
WHERE c.path IS DISTINCT FROM CASE
    WHEN c.parent_id IS NULL THEN text2ltree(c.slug)
    ELSE parent.path || c.slug
END
ORDER BY c.id;
