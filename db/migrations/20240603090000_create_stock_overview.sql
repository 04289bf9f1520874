-- migrate:up
CREATE OR REPLACE VIEW stock_overview AS
SELECT p.id AS product_id,
    p.sku,
    coalesce(sum(s.on_hand), 0) AS on_hand,
    coalesce(sum(s.on_hand - s.reserved), 0) AS available
FROM products p
LEFT JOIN stock_levels s ON s.product_id = p.id
GROUP BY p.id, p.sku;
COMMENT ON VIEW stock_overview IS 'Stock of each product over all warehouses.';
COMMENT ON COLUMN stock_overview.product_id IS 'The product.';
COMMENT ON COLUMN stock_overview.sku IS 'Its stock keeping unit.';
COMMENT ON COLUMN stock_overview.on_hand IS 'Pieces on all shelves.';
COMMENT ON COLUMN stock_overview.available IS 'Pieces that can still be promised.';

-- migrate:down
DROP VIEW IF EXISTS stock_overview;
