-- A generated column: the total of a line can never contradict its parts.

-- migrate:up
CREATE TABLE IF NOT EXISTS order_items (
    order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
    line_no smallint NOT NULL CHECK (line_no > 0),
    product_id bigint NOT NULL REFERENCES products,
    quantity integer NOT NULL CONSTRAINT order_items_quantity_positive CHECK (quantity > 0),
    unit_price money_amount NOT NULL,
    line_total numeric(14, 2) GENERATED ALWAYS AS (quantity * unit_price) STORED,
    PRIMARY KEY (order_id, line_no)
);
CREATE INDEX IF NOT EXISTS order_items_product_id_idx ON order_items (product_id);

COMMENT ON TABLE order_items IS 'Lines of an order.';
COMMENT ON COLUMN order_items.order_id IS 'The order.';
COMMENT ON COLUMN order_items.line_no IS 'Line within the order, from 1.';
COMMENT ON COLUMN order_items.product_id IS 'What is ordered.';
COMMENT ON COLUMN order_items.quantity IS 'Pieces.';
COMMENT ON COLUMN order_items.unit_price IS 'Price of one piece when it was ordered.';
COMMENT ON COLUMN order_items.line_total IS 'Quantity times price.';

-- migrate:down
DROP TABLE IF EXISTS order_items;
