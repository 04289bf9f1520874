-- Parents first: the path of a category is made from its parent's.
INSERT INTO categories AS c (slug, name) VALUES
    ('books', 'Books'),
    ('home', 'Home'),
    ('outdoor', 'Outdoor')
ON CONFLICT (slug) DO UPDATE SET name = excluded.name WHERE c.name IS DISTINCT FROM excluded.name;

INSERT INTO categories AS c (parent_id, slug, name)
SELECT parent.id, new.slug, new.name
FROM (VALUES
    (1, 'books', 'novels', 'Novels'),
    (2, 'books', 'cookery', 'Cookery'),
    (3, 'home', 'kitchen', 'Kitchen'),
    (4, 'home', 'lighting', 'Lighting'),
    (5, 'outdoor', 'tents', 'Tents')
) AS new (position, parent, slug, name)
JOIN categories parent ON parent.slug = new.parent
ORDER BY new.position
ON CONFLICT (slug) DO UPDATE SET name = excluded.name WHERE c.name IS DISTINCT FROM excluded.name;
