-- migrate:up
CREATE TABLE IF NOT EXISTS warehouses (
    code text PRIMARY KEY CONSTRAINT warehouses_code_format CHECK (code ~ '^[A-Z]{3}[0-9]{1,2}$'),
    address postal_address NOT NULL
);
COMMENT ON TABLE warehouses IS 'Places that goods are sent from.';
COMMENT ON COLUMN warehouses.code IS 'City code and number.';
COMMENT ON COLUMN warehouses.address IS 'Where it is.';

CREATE TABLE IF NOT EXISTS stock_levels (
    warehouse_code text NOT NULL REFERENCES warehouses ON UPDATE CASCADE,
    product_id bigint NOT NULL REFERENCES products ON DELETE CASCADE,
    on_hand integer NOT NULL DEFAULT 0,
    reserved integer NOT NULL DEFAULT 0,
    PRIMARY KEY (warehouse_code, product_id),
    CONSTRAINT stock_levels_reserved_within_stock CHECK (reserved BETWEEN 0 AND on_hand)
);
CREATE INDEX IF NOT EXISTS stock_levels_product_id_idx ON stock_levels (product_id) INCLUDE (on_hand, reserved);
COMMENT ON TABLE stock_levels IS 'How much of a product lies in a warehouse.';
COMMENT ON COLUMN stock_levels.warehouse_code IS 'Where it lies.';
COMMENT ON COLUMN stock_levels.product_id IS 'What lies there.';
COMMENT ON COLUMN stock_levels.on_hand IS 'Pieces on the shelf.';
COMMENT ON COLUMN stock_levels.reserved IS 'Pieces of those promised to orders.';

-- migrate:down
DROP TABLE IF EXISTS stock_levels;
DROP TABLE IF EXISTS warehouses;
