-- A body in standard SQL is parsed once, here: what it uses cannot be dropped behind its back.

-- migrate:up
CREATE OR REPLACE FUNCTION order_balance(wanted bigint) RETURNS numeric
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT o.total_amount - coalesce((SELECT sum(p.amount) FROM payments p WHERE p.order_id = o.id), 0)
    FROM orders o
    WHERE o.id = wanted;
END;
COMMENT ON FUNCTION order_balance(bigint) IS 'What is still to be paid for an order; null if there is no such order.';

-- migrate:down
DROP FUNCTION IF EXISTS order_balance(bigint);
